// SPDX-License-Identifier: MIT
// Frames that a test alters on their way, from Python.
#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "binding/binding.h"
#include "net/decorators.h"

namespace cryptensor::binding {
namespace {

using net::Bytes;
using net::FaultTransport;

std::shared_ptr<const Bytes> frame_of(const py::bytes& content) {
  const std::string_view view = content;
  auto frame = std::make_shared<Bytes>(view.size());
  std::copy(view.begin(), view.end(), frame->data());
  return frame;
}

// Sends come from threads without the lock of the interpreter, and end after it perhaps.
std::shared_ptr<py::function> kept(py::function function) {
  return {new py::function(std::move(function)), [](py::function* last) {
            const py::gil_scoped_acquire gil;
            delete last;
          }};
}

}  // namespace

void bind_interference(py::module_& m) {
  // fault(peer, lane, frame) -> the frames to send instead, as bytes.
  m.def(
      "fault_transport",
      [](std::shared_ptr<net::Transport> inner,
         py::function fault) -> std::shared_ptr<net::Transport> {
        return std::make_shared<FaultTransport>(
            std::move(inner), [fault = kept(std::move(fault))](
                                  int peer, int lane, const std::shared_ptr<const Bytes>& frame) {
              const py::gil_scoped_acquire gil;
              const py::bytes content(reinterpret_cast<const char*>(frame->data()), frame->size());
              FaultTransport::Frames out;
              for (const py::handle other : (*fault)(peer, lane, content)) {
                const auto bytes = other.cast<py::bytes>();
                out.push_back(frame_of(bytes));
              }
              return out;
            });
      },
      py::arg("inner"), py::arg("fault"));
}

}  // namespace cryptensor::binding
