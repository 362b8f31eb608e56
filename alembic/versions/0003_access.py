"""Who may do what: scopes, expiry and use of keys, the audit log, row ownership."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
