"""The application: everything between what Discord brings in (`cogs/`) and what is kept (`storage/`)."""
