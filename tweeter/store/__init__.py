"""The only place that knows SQLAlchemy: a file a table or a question, reads and writes together.

Every function takes the Engine (it then makes one transaction of its own) or a Connection
(it is part of the caller's). Writes go through `engine.writing`, reads through `engine.reading`.
"""
