"""Loads a library that registers CUDA's hooks with a CPU build of torch; they do nothing.

It is compiled once against the headers that torch's wheel brings, and must be loaded before torch is imported.
"""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path

CODE = """
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

static int cards = 2;
static thread_local int current = 0;

// autograd asks for the device, its streams and its events
struct Guard final : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
  using Device = c10::Device;
  using Stream = c10::Stream;
  static Device card(int index) { return Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index)); }
  Device getDevice() const override { return card(current); }
  Device exchangeDevice(Device other) const override {
    const Device before = card(current);
    if (other.has_index()) current = other.index();
    return before;
  }
  void setDevice(Device other) const override { exchangeDevice(other); }
  void uncheckedSetDevice(Device other) const noexcept override { if (other.has_index()) current = other.index(); }
  c10::DeviceIndex deviceCount() const noexcept override { return static_cast<c10::DeviceIndex>(cards); }
  Stream getStream(Device device) const noexcept override { return Stream(Stream::DEFAULT, device); }
  Stream exchangeStream(Stream other) const noexcept override { return Stream(Stream::DEFAULT, other.device()); }
  void record(void**, const Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override {}
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

// looked up by this name
namespace at {
struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return cards; }
  DeviceIndex deviceCount() const override { return static_cast<DeviceIndex>(cards); }
  DeviceIndex current_device() const override { return static_cast<DeviceIndex>(current); }
  DeviceIndex getCurrentDevice() const override { return current_device(); }
  Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
};
using at::CUDAHooksRegistry;
REGISTER_CUDA_HOOKS(CUDAHooks)
}
"""


def load(folder: Path) -> None:
    """Compile the library into a folder, if it is not there, and load it.

    Raises:
        OSError, subprocess.CalledProcessError: there is no compiler, or torch's headers do not fit.
    """
    assert "torch" not in sys.modules, "torch looks for CUDA's hooks once, when it is imported"
    library = folder / "pretended_gpu.so"
    if not library.exists():
        compile_to(library)
    ctypes.CDLL(str(library))


def compile_to(library: Path) -> None:
    """Compile the library."""
    found = importlib.util.find_spec("torch")
    assert found is not None and found.submodule_search_locations is not None
    root = Path(found.submodule_search_locations[0])
    source = library.with_suffix(".cpp")
    source.write_text(CODE)
    libraries = [f"-L{root / 'lib'}", "-lc10", "-ltorch_cpu", f"-Wl,-rpath,{root / 'lib'}"]
    command = ["g++", "-std=c++20", "-shared", "-fPIC", f"-I{root / 'include'}", source, "-o", library, *libraries]
    subprocess.run(command, check=True, capture_output=True, text=True)
