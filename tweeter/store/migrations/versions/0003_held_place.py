"""A place held for a step that is written elsewhere: it changes nothing

Revision 0003, after 0002.
"""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing."""


def downgrade() -> None:
    """Nothing."""
