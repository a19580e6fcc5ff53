"""A GPU that is pretended, on a CPU build of torch: it finds tensors on the wrong device, and what waits for a GPU.

`library.py` makes torch believe that there is CUDA; `cards.py` makes tensors that say `cuda:N` and compute on the CPU;
`scenarios.py` runs parts of autoseg on them, in a process of its own. It sees no missing kernels, no streams, no memory
and no numerics of a GPU.
"""
