"""Cold archive: readings that left MongoDB, as Parquet files in a folder or a bucket.

What belongs here: files and their columns, a run that moves months, checking, moving back, reading archive and MongoDB
as one. What does not: the manifest's document (`greenpower.mongo.archive`), what is asked of readings (the API).
`pyarrow` is imported by functions of this room only when there is something to read or write.
"""
