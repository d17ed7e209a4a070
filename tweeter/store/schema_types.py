"""What the tables of `schema` are made with: their names' pattern, and types of all databases."""

from sqlalchemy import BigInteger, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.dialects import mysql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Names of the networks are compared byte by byte on every database.
KeyText = String(190).with_variant(
    mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
AutoId = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up in SQLite
Bytes = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
