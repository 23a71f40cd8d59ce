"""`nequip-package`, such that packages can also be evaluated with OpenEquivariance elsewhere.

torch.package lets a package import only what could be imported where it was built. So a package
that was built on a machine without OpenEquivariance could never use its kernels on a GPU.
"""

import importlib.util
import sys
from types import ModuleType

from nequip.scripts.package import main

KERNELS = "openequivariance"

if __name__ == "__main__":
    if importlib.util.find_spec(KERNELS) is None:
        sys.modules[KERNELS] = ModuleType(KERNELS)
    main()
