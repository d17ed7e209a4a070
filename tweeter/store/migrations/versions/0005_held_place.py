"""A place held for a step that is written elsewhere: it changes nothing

Revision 0005, after 0004.
"""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing."""


def downgrade() -> None:
    """Nothing."""
