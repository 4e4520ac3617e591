"""A chain that begins as a copy of another network, made account by account when it is first touched.

``pin`` says of which network and block, ``remote`` asks it, ``accounts`` is what one account is and how it is
written, ``fork`` puts them together. What has to be copied is decided in ``hither.chain.fork``.

Everything is asked at the pinned block, by its hash; an answer that names another block is refused. What was
copied lies on disk in ``fork/`` of the home, by that hash, and is asked for once.
"""
