// SPDX-License-Identifier: MIT
// The module cryptensor._C: errors and transports.
#include <pybind11/stl.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "binding/binding.h"
#include "binding/refusal.h"
#include "core/buffer.h"
#include "core/cpu.h"
#include "core/errors.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/prg.h"
#include "net/decorators.h"
#include "net/gloo_transport.h"
#include "net/memory_transport.h"
#include "net/shared_memory_transport.h"
#include "net/tls_transport.h"

namespace cryptensor::binding {
namespace {

// Bad arguments are ValueErrors as well, as Python programmers expect.
template <class E>
void bind_error(py::module_& m, const char* name, py::handle base, bool is_value_error) {
  const py::object bases = is_value_error
                               ? py::object(py::make_tuple(base, py::handle(PyExc_ValueError)))
                               : py::reinterpret_borrow<py::object>(base);
  py::register_exception<E>(m, name, bases);
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1e3));
}

std::chrono::microseconds microseconds(double seconds) {
  return std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
}

}  // namespace

void bind_errors(py::module_& m) {
  py::register_exception<Error>(m, "Error", PyExc_RuntimeError);
  const py::object base = m.attr("Error");
  bind_error<RangeError>(m, "RangeError", base, true);
  bind_error<ShapeError>(m, "ShapeError", base, true);
  bind_error<ConfigError>(m, "ConfigError", base, true);
  bind_error<ProtocolError>(m, "ProtocolError", base, false);
  bind_error<PeerLost>(m, "PeerLost", base, false);
  bind_error<PeerTimeout>(m, "PeerTimeout", base, false);
  bind_error<SetupError>(m, "SetupError", base, false);
  bind_error<AuthFailed>(m, "AuthFailed", base, false);
  bind_error<StoreError>(m, "StoreError", base, false);
  bind_error<EntropyError>(m, "EntropyError", base, false);
}

void bind_transports(py::module_& m) {
  using namespace net;
  py::class_<Transport, std::shared_ptr<Transport>>(m, "Transport")
      .def_property_readonly("rank", &Transport::rank)
      .def_property_readonly("size", &Transport::size)
      .def("abort", &Transport::abort, release_gil());
  py::class_<MemoryHub>(m, "MemoryHub")
      .def(py::init<int>(), py::arg("size"))
      .def("transport", &MemoryHub::transport, py::arg("rank"))
      .def("abort", &MemoryHub::abort, py::arg("rank"), release_gil());
  py::class_<TraceTransport, Transport, std::shared_ptr<TraceTransport>>(m, "TraceTransport")
      .def("clear", &TraceTransport::clear)
      .def("frames", [](const TraceTransport& trace) {
        py::list out;
        for (const auto& sent : trace.frames()) {
          const auto* payload = reinterpret_cast<const char*>(sent.frame.data()) + kHeaderBytes;
          out.append(py::make_tuple(sent.peer, sent.lane, name(sent.operation()),
                                    py::bytes(payload, sent.frame.size() - kHeaderBytes)));
        }
        return out;
      });
  m.def("gloo_transport", [](const c10::intrusive_ptr<c10d::Backend>& backend) {
    return make_gloo_transport(backend.get());
  });
  m.def(
      "shared_memory_transport",
      [](int rank, int listener, const std::vector<std::string>& names, double seconds) {
        const py::gil_scoped_release no_gil;
        return make_shared_memory_transport(
            meet_locally({rank, listener, names, milliseconds(seconds)}), rank);
      },
      py::kw_only(), py::arg("rank"), py::arg("listener"), py::arg("names"), py::arg("seconds"));
  m.def(
      "tls_transport",
      [](int rank, int listener, const std::vector<std::pair<std::string, uint16_t>>& addresses,
         const std::vector<std::string>& names, const std::string& authority,
         const std::string& certificate, const std::string& key, const py::bytes& session,
         double seconds) {
        Meeting meeting{rank, listener, {}, names, {}, milliseconds(seconds)};
        for (const auto& [host, port] : addresses) meeting.addresses.push_back({host, port});
        const std::string_view digest = session;
        if (digest.size() != meeting.session.size()) throw ConfigError("session is not 32 bytes");
        std::copy(digest.begin(), digest.end(), meeting.session.begin());
        const py::gil_scoped_release no_gil;
        return make_tls_transport(TlsContext({authority, certificate, key}), meeting);
      },
      py::kw_only(), py::arg("rank"), py::arg("listener"), py::arg("addresses"), py::arg("names"),
      py::arg("authority"), py::arg("certificate"), py::arg("key"), py::arg("session"),
      py::arg("seconds"));
  m.def(
      "make_authority",
      [](const std::string& folder, int from, int to) {
        crypto::make_authority(folder, {from, to});
      },
      py::arg("folder"), py::arg("from_day"), py::arg("to_day"));
  m.def(
      "make_certificate",
      [](const std::string& folder, const std::string& name, int from, int to) {
        crypto::make_certificate(folder, name, {from, to});
      },
      py::arg("folder"), py::arg("name"), py::arg("from_day"), py::arg("to_day"));
  m.def(
      "seed_thread",
      [](const std::optional<py::bytes>& seed) {
        if (!seed) return crypto::seed_thread(std::nullopt);
        const std::string_view bytes = *seed;
        std::array<uint8_t, 16> key;
        if (bytes.size() != key.size()) throw ConfigError("seed is not 16 bytes");
        std::copy(bytes.begin(), bytes.end(), key.begin());
        crypto::seed_thread(key);
      },
      py::arg("seed"));
  m.def("random_bytes", [](size_t n) {
    std::string out(n, '\0');
    crypto::random_bytes(out.data(), n);
    return py::bytes(out);
  });
  // For measuring: what is drawn, under a key of its own, is thrown away.
  m.def(
      "draw",
      [](size_t bytes) {
        Buffer buffer(bytes);
        crypto::Prg(crypto::random_key()).fill(0, 0, buffer.data(), bytes);
      },
      py::arg("bytes"), release_gil());
  m.def("trace_transport", [](std::shared_ptr<Transport> inner) {
    return std::make_shared<TraceTransport>(std::move(inner));
  });
  m.def(
      "delay_transport",
      [](std::shared_ptr<Transport> inner, double seconds,
         std::optional<double> bytes_per_second) -> std::shared_ptr<Transport> {
        return std::make_shared<DelayTransport>(std::move(inner), microseconds(seconds),
                                                bytes_per_second);
      },
      py::arg("inner"), py::arg("seconds"), py::arg("bytes_per_second") = py::none());
  m.def("isa", [] { return name(isa()); });
}

}  // namespace cryptensor::binding

PYBIND11_MODULE(_C, m) {
  m.doc() = "The protocols of cryptensor. Use the package, not this module.";
  cryptensor::binding::bind_errors(m);
  cryptensor::binding::bind_transports(m);
  cryptensor::binding::bind_interference(m);
  cryptensor::binding::bind_secret(m);
  cryptensor::binding::bind_engine(m);
  cryptensor::binding::bind_store(m);
  cryptensor::binding::refuse_by_type(m);  // last: of all that is bound above
}
