// SPDX-License-Identifier: MIT
#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/errors.h"

namespace cryptensor::net {
namespace {

using Clock = std::chrono::steady_clock;

// Both fit the fast path of the processor; what a peer offers besides is not negotiated.
constexpr const char* kCiphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
constexpr size_t kReadAhead = size_t{256} << 10;  // several records in one call of the system
constexpr int kMaxWrite = 1 << 30;                // OpenSSL counts in int

std::string reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
  return text == nullptr ? "no reason given" : text;
}

// The socket for OpenSSL. Its own kind raises SIGPIPE, which would end the process.
int socket_of(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

int bio_write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(socket_of(bio), bytes, size, MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int bio_read(BIO* bio, char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(socket_of(bio), bytes, size, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO* socket_bio(int socket) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_ctrl(m, bio_control);
    return m;
  }();
  BIO* bio = BIO_new(method);
  if (bio == nullptr) throw Error("TLS: " + reason());
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace

struct TlsContext::Native {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_method()),
                                                            SSL_CTX_free};
};

TlsContext::TlsContext(const Identity& identity) {
  auto native = std::make_shared<Native>();
  SSL_CTX* context = native->context.get();
  if (context == nullptr) throw Error("TLS: " + reason());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context, kCiphers);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // A session that is resumed would skip the certificates.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAhead);
  const auto use = [](bool good, const char* what, const std::string& file) {
    if (!good) {
      throw ConfigError(std::string(what) + " '" + file + "' cannot be used: " + reason() +
                        "; it must be a PEM file that fits the others");
    }
  };
  use(SSL_CTX_load_verify_file(context, identity.authority.c_str()) == 1, "authority",
      identity.authority);
  use(SSL_CTX_use_certificate_chain_file(context, identity.certificate.c_str()) == 1, "certificate",
      identity.certificate);
  use(SSL_CTX_use_PrivateKey_file(context, identity.key.c_str(), SSL_FILETYPE_PEM) == 1, "key",
      identity.key);
  use(SSL_CTX_check_private_key(context) == 1, "key", identity.key);
  native_ = std::move(native);
}

struct TlsStream::State {
  State(const TlsContext& context, int socket_in)
      : socket(socket_in), ssl(SSL_new(context.native().context.get()), SSL_free) {
    if (ssl == nullptr) throw Error("TLS: " + reason());
    BIO* bio = socket_bio(socket);
    SSL_set_bio(ssl.get(), bio, bio);
  }
  ~State() {
    ssl.reset();
    ::close(socket);
  }

  void wait_for(short events, Deadline deadline) const {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) throw PeerTimeout("the connection is silent");
      pollfd waiting{socket, events, 0};
      const int limit = static_cast<int>(std::min<int64_t>(left.count(), 1 << 30));
      const int ready = ::poll(&waiting, 1, limit);
      if (ready > 0) return;
      if (ready < 0 && errno != EINTR) throw PeerLost(std::strerror(errno));
    }
  }

  // What stands in the way of an operation that returned `result`. Returns after waiting, or
  // throws.
  void clear_way(int result, Deadline deadline) const {
    const int cause = SSL_get_error(ssl.get(), result), system = errno;
    if (cause == SSL_ERROR_WANT_READ) return wait_for(POLLIN, deadline);
    if (cause == SSL_ERROR_WANT_WRITE) return wait_for(POLLOUT, deadline);
    lost(cause, system);
  }

  [[noreturn]] void lost(int cause, int system) const {
    if (cause == SSL_ERROR_SSL) {
      const long verdict = SSL_get_verify_result(ssl.get());
      const std::string why = reason();
      throw AuthFailed(verdict == X509_V_OK ? why : X509_verify_cert_error_string(verdict));
    }
    ERR_clear_error();
    throw PeerLost(cause == SSL_ERROR_SYSCALL && system != 0 ? std::strerror(system)
                                                             : "the connection was closed");
  }

  template <class Operation>
  void complete(Operation operation, Deadline deadline) const {
    for (;;) {
      ERR_clear_error();
      errno = 0;
      const int result = operation(ssl.get());
      if (result == 1) return;
      clear_way(result, deadline);
    }
  }

  int socket;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl;
};

TlsStream::TlsStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsStream::~TlsStream() = default;

std::unique_ptr<TlsStream> TlsStream::connect(const TlsContext& context, int socket,
                                              const std::string& peer_name, Deadline deadline) {
  auto state = std::make_unique<State>(context, socket);
  SSL_set_hostflags(state->ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (SSL_set1_host(state->ssl.get(), peer_name.c_str()) != 1) throw Error("TLS: " + reason());
  state->complete(SSL_connect, deadline);
  return std::unique_ptr<TlsStream>(new TlsStream(std::move(state)));
}

std::unique_ptr<TlsStream> TlsStream::accept(const TlsContext& context, int socket,
                                             Deadline deadline) {
  auto state = std::make_unique<State>(context, socket);
  // A handshake begins with a record of type 22. Whatever else found this port is not a peer.
  uint8_t first = 0;
  state->wait_for(POLLIN, deadline);
  if (::recv(socket, &first, 1, MSG_PEEK) != 1 || first != 22) return nullptr;
  state->complete(SSL_accept, deadline);
  return std::unique_ptr<TlsStream>(new TlsStream(std::move(state)));
}

void TlsStream::check_name(const std::string& peer_name) const {
  X509* certificate = SSL_get0_peer_certificate(state_->ssl.get());
  if (certificate == nullptr ||
      X509_check_host(certificate, peer_name.data(), peer_name.size(),
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) != 1) {
    throw AuthFailed("the certificate is not that of " + peer_name);
  }
}

void TlsStream::read(std::span<uint8_t> bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ERR_clear_error();
    errno = 0;
    size_t got = 0;
    const int result = SSL_read_ex(state_->ssl.get(), bytes.data(), bytes.size(), &got);
    if (result == 1) {
      bytes = bytes.subspan(got);
    } else {
      state_->clear_way(result, deadline);
    }
  }
}

size_t TlsStream::write_some(std::span<const uint8_t> bytes) {
  size_t total = 0;
  while (total < bytes.size()) {
    ERR_clear_error();
    errno = 0;
    const auto size = static_cast<int>(std::min<size_t>(bytes.size() - total, kMaxWrite));
    const int result = SSL_write(state_->ssl.get(), bytes.data() + total, size);
    if (result > 0) {
      total += result;
      continue;
    }
    const int cause = SSL_get_error(state_->ssl.get(), result), system = errno;
    if (cause == SSL_ERROR_WANT_WRITE || cause == SSL_ERROR_WANT_READ) break;
    state_->lost(cause, system);
  }
  return total;
}

void TlsStream::write(std::span<const uint8_t> bytes, Deadline deadline) {
  for (;;) {
    bytes = bytes.subspan(write_some(bytes));
    if (bytes.empty()) return;
    state_->wait_for(POLLOUT, deadline);
  }
}

void TlsStream::close() { ::shutdown(state_->socket, SHUT_RDWR); }

}  // namespace cryptensor::net
