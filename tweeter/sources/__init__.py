"""The networks' sockets: a file for what a network's client says and hears.

Who only wants to know what the settings ask of the networks loads `wanted`; `opening` loads the
clients of all of them.
"""
