// SPDX-License-Identifier: MIT
#include "correlation/provider.h"

#include "correlation/dealer.h"

namespace cryptensor::correlation {

Correlation Provider::take(const Descriptor& descriptor) {
  const uint64_t digest = descriptor.digest();
  expect(descriptor, digest);
  const uint64_t serial = next_serial_++;
  Correlation out{serial, digest, correlation_prg(key_, serial, digest), nullptr, {}};
  if (corrected()) taken(serial, descriptor);
  const size_t bytes = descriptor.correction_bytes();
  if (const auto part = corrected_part(descriptor); part && bytes > 0) {
    out.corrections = corrections(serial, digest, descriptor, *part, bytes);
    out.part = *part;
  }
  if (corrected()) dealer_bytes_ += bytes;
  return out;
}

MaskName Provider::take_mask(uint64_t numel, uint32_t holders, bool long_lived) {
  const Descriptor descriptor = Descriptor::make_mask(numel, holders);
  const uint64_t digest = descriptor.digest();
  expect(descriptor, digest);
  const uint64_t serial = next_serial_++;
  if (corrected()) taken(serial, descriptor);
  return {serial, digest, numel, holders, long_lived, epoch_};
}

void Provider::begin_epoch(const crypto::Key& key) {
  key_ = crypto::Prg(key);
  next_serial_ = 0;
  ++epoch_;
}

crypto::Prg Provider::mask_prg(const MaskName& mask) const {
  return correlation_prg(key_, mask.serial, mask.digest);
}

}  // namespace cryptensor::correlation
