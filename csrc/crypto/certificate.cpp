// SPDX-License-Identifier: MIT
#include "crypto/certificate.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "core/errors.h"

namespace cryptensor::crypto {
namespace {

template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* object) const { Free(object); }
};
using PrivateKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509, X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION, X509_EXTENSION_free>>;

struct Closed {
  void operator()(FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, Closed>;

void require(bool good, const char* what) {
  if (good) return;
  const char* reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  throw Error(std::string(what) + " failed in OpenSSL: " + (reason ? reason : "no reason given"));
}

File opened(const std::string& path, bool writes) {
  // Keys are nobody else's business, and a certificate does not mind.
  const int flags = writes ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  FILE* file = descriptor < 0 ? nullptr : ::fdopen(descriptor, writes ? "w" : "r");
  if (file == nullptr) {
    if (descriptor >= 0) ::close(descriptor);
    throw ConfigError("file '" + path + "' cannot be " + (writes ? "written" : "read") +
                      "; it must be in a folder that exists and is yours");
  }
  return File(file);
}

void add(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "an extension");
}

void set_time(ASN1_TIME* time, int days) {
  require(X509_time_adj_ex(time, days, 0, nullptr) != nullptr, "a time");
}

Certificate unsigned_certificate(const std::string& name, EVP_PKEY* key, const Validity& validity) {
  Certificate out(X509_new());
  require(out != nullptr && X509_set_version(out.get(), X509_VERSION_3) == 1, "a certificate");
  unsigned char serial[16];
  require(RAND_bytes(serial, sizeof serial) == 1, "a serial number");
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(out.get()));
  BN_free(number);
  set_time(X509_getm_notBefore(out.get()), validity.from);
  set_time(X509_getm_notAfter(out.get()), validity.to);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  require(X509_set_pubkey(out.get(), key) == 1, "a public key");
  return out;
}

void write_pair(const std::string& stem, X509* certificate, EVP_PKEY* key) {
  require(PEM_write_X509(opened(stem + ".pem", true).get(), certificate) == 1, "a file");
  require(PEM_write_PrivateKey(opened(stem + ".key", true).get(), key, nullptr, nullptr, 0, nullptr,
                               nullptr) == 1,
          "a file");
}

PrivateKey new_key() {
  PrivateKey key(EVP_EC_gen("P-256"));
  require(key != nullptr, "a key");
  return key;
}

void sign(X509* certificate, EVP_PKEY* key) {
  require(X509_sign(certificate, key, EVP_sha256()) != 0, "a signature");
}

}  // namespace

void make_authority(const std::string& folder, const Validity& validity) {
  const PrivateKey key = new_key();
  const Certificate own = unsigned_certificate("cryptensor authority", key.get(), validity);
  X509_set_issuer_name(own.get(), X509_get_subject_name(own.get()));
  add(own.get(), own.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add(own.get(), own.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add(own.get(), own.get(), NID_subject_key_identifier, "hash");
  sign(own.get(), key.get());
  write_pair(folder + "/authority", own.get(), key.get());
}

void make_certificate(const std::string& folder, const std::string& name,
                      const Validity& validity) {
  const std::string stem = folder + "/authority";
  const PrivateKey authority_key(
      PEM_read_PrivateKey(opened(stem + ".key", false).get(), nullptr, nullptr, nullptr));
  const Certificate authority(
      PEM_read_X509(opened(stem + ".pem", false).get(), nullptr, nullptr, nullptr));
  require(authority_key != nullptr && authority != nullptr, "reading the authority");
  const PrivateKey key = new_key();
  const Certificate out = unsigned_certificate(name, key.get(), validity);
  X509_set_issuer_name(out.get(), X509_get_subject_name(authority.get()));
  add(out.get(), authority.get(), NID_basic_constraints, "critical,CA:FALSE");
  add(out.get(), authority.get(), NID_key_usage, "critical,digitalSignature");
  add(out.get(), authority.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  add(out.get(), authority.get(), NID_subject_alt_name, "DNS:" + name);
  add(out.get(), authority.get(), NID_authority_key_identifier, "keyid");
  sign(out.get(), authority_key.get());
  write_pair(folder + "/" + name, out.get(), key.get());
}

}  // namespace cryptensor::crypto
