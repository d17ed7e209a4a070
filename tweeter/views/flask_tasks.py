"""Where `celery -A tweeter.views.flask_tasks worker` finds the app, as it did in 2016.

No page and no Flask comes with it: `views/__init__` is empty.
"""

from tweeter.keeper import app

__all__ = ["app"]
