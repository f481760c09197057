"""PostgreSQL: connections, migrations, named queries, and one module for each group of tables."""
