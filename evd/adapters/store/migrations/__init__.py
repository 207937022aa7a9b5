"""The steps from one version of Central's tables to the next, carried out by Alembic.

To change a table: change its row (`evd/core/central/rows.py`: a field is a column) or what
`evd/adapters/store/tables.py` adds to it, add `versions/rNNNN_what_changes.py` with the next number
as its `revision`, and raise `SCHEMA_HEAD`.  A new database gets the tables of tables.py without
any step.  A test holds the tables of both ways against those of tables.py, in either kind of
database.
"""
