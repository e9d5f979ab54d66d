"""Found first on PYTHONPATH by every interpreter that ``kato-fast run`` starts: opens the door, then steps aside.

Only this folder leaves ``sys.path``, here; PYTHONPATH stays as it is, so that worker and reload children come by too.
The ``sitecustomize`` that the distribution or the user has is run as if this one had not been there.
"""

import importlib.machinery
import importlib.util
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
_root = os.path.dirname(os.path.dirname(os.path.dirname(_here)))


def _open():
    try:
        import kato_fast_door
    except ImportError:
        sys.path.append(_root)
        import kato_fast_door
    kato_fast_door.from_environment()


def _chain():
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != _here]
    found = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if found is None or found.loader is None:
        return
    module = importlib.util.module_from_spec(found)
    sys.modules["sitecustomize"] = module
    found.loader.exec_module(module)


try:
    _open()
except Exception as error:
    print(f"kato_fast: the door could not be opened: {error}", file=sys.stderr)
_chain()
