"""The pages' pictures, and the invented world they are taken of. `make pictures` takes them all.

`table.py` lists every page once: pictures, axe, widths, script bytes and layout shift all go
through it. Add a line there for a new page.
"""
