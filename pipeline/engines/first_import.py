"""What the process that workers are forked from imports first: what it imports afterwards stays, so it looks for no garbage among that.

Collections took a fifth of its time: 2.6 s of CPU, not 2.0, on a slow machine. A command waits for it before its first rows. Each worker
collects its own garbage again (`forked_workers.py`).
"""

import gc

gc.disable()
