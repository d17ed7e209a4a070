"""A place held for a step that is written elsewhere: it changes nothing

Revision 0004, after 0003.
"""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Nothing."""


def downgrade() -> None:
    """Nothing."""
