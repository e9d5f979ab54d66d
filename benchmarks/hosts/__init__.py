"""A real KATO against itself with kato_fast attached: the same servers, interleaved, over HTTP.

    KATO_HOST_DIR=../kato KATO_HOST_PYTHON=../kato-env/bin/python python -m benchmarks.hosts sizes

``sizes``: plain and attached at some numbers of patterns, one client and eight. ``flags``: each flag alone.
``headline``: what the authors measured, their way. ``off``: what an attached KATO costs whose flags are all off.
Results are stored in benchmarks/results; ``python -m benchmarks.report`` puts them into the docs.
"""
