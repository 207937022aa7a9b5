"""The steps from one version of Central's tables to the next, carried out by Alembic.

To change a table: change `evd/adapters/store/tables.py`, add `versions/rNNNN_what_changes.py` with
the next number as its `revision`, and raise `SCHEMA_HEAD`.  A test holds the tables that the steps
make against those of tables.py, in either kind of database.
"""
