// SPDX-License-Identifier: MIT
// Descriptors as bytes. What a peer sent is checked value by value before anything is made of it.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/errors.h"
#include "correlation/descriptor.h"
#include "correlation/selection_layout.h"

namespace cryptensor::correlation {
namespace {

uint64_t product_of(const std::vector<int64_t>& sizes) {
  uint64_t n = 1;
  for (const int64_t s : sizes) {
    if (s < 0) throw ProtocolError("correlation request: a negative size");
    if (__builtin_mul_overflow(n, static_cast<uint64_t>(s), &n)) n = kMaxElements + 1;
  }
  return n;
}

class Writer {
 public:
  template <class T>
  void put(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto* from = reinterpret_cast<const uint8_t*>(&value);
    bytes.insert(bytes.end(), from, from + sizeof value);
  }
  void put_list(const std::vector<int64_t>& list) {
    put(static_cast<uint8_t>(list.size()));
    for (const int64_t v : list) put(v);
  }
  void put_view(const MaskView& view) {
    put(view.mask.serial);
    put(view.mask.digest);
    put(view.mask.numel);
    put(view.mask.holders);
    put(static_cast<uint8_t>(view.mask.long_lived));
    put_list(view.sizes);
    put_list(view.strides);
    put(view.offset);
  }
  std::vector<uint8_t> bytes;
};

class Reader {
 public:
  Reader(std::span<const uint8_t> bytes, int parties) : bytes_(bytes), parties_(parties) {}

  template <class T>
  T get() {
    if (bytes_.size() < sizeof(T)) throw ProtocolError("correlation request: cut short");
    T value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return value;
  }
  std::vector<int64_t> get_list() {
    const size_t n = get<uint8_t>();
    if (n > kMaxDimensions) throw ProtocolError("correlation request: too many dimensions");
    std::vector<int64_t> list(n);
    for (auto& v : list) v = get<int64_t>();
    return list;
  }
  uint64_t get_numel() {
    const auto n = get<uint64_t>();
    if (n > kMaxElements) {
      throw ProtocolError(
          fmt::format("correlation request: {} elements; allowed are {}", n, kMaxElements));
    }
    return n;
  }
  uint32_t get_holders() {
    const auto holders = get<uint32_t>();
    if (holders == 0 || (parties_ < 32 && holders >> parties_ != 0)) {
      throw ProtocolError("correlation request: the holders are not parties of the session");
    }
    return holders;
  }
  MaskView get_view() {
    MaskView view;
    view.mask.serial = get<uint64_t>();
    view.mask.digest = get<uint64_t>();
    view.mask.numel = get_numel();
    view.mask.holders = get_holders();
    const auto long_lived = get<uint8_t>();
    if (long_lived > 1) throw ProtocolError("correlation request: a flag that is neither 0 nor 1");
    view.mask.long_lived = long_lived != 0;
    view.sizes = get_list();
    view.strides = get_list();
    view.offset = get<int64_t>();
    check_inside(view);
    return view;
  }
  int get_number(const char* what, int least, int most) {
    const int number = get<uint8_t>();
    if (number < least || number > most) {
      throw ProtocolError(fmt::format("correlation request: {} is {}; allowed are {} to {}", what,
                                      number, least, most));
    }
    return number;
  }
  uint8_t get_shift(int most) { return static_cast<uint8_t>(get_number("shift", 1, most)); }
  void finish() const {
    if (!bytes_.empty()) throw ProtocolError("correlation request: bytes left over");
  }

 private:
  // A view outside its mask would make the dealer read foreign memory.
  static void check_inside(const MaskView& view) {
    // A size of zero hides no others: torch multiplies them all.
    std::vector<int64_t> extents = view.sizes;
    std::replace(extents.begin(), extents.end(), int64_t{0}, int64_t{1});
    if (view.sizes.size() != view.strides.size() || view.offset < 0 ||
        product_of(extents) > kMaxElements) {
      throw ProtocolError("correlation request: malformed view of a mask");
    }
    for (const int64_t stride : view.strides) {
      if (stride < 0) throw ProtocolError("correlation request: a negative stride");
    }
    unsigned __int128 last = static_cast<uint64_t>(view.offset);
    for (size_t i = 0; i < view.sizes.size(); ++i) {
      if (view.sizes[i] == 0) return;
      last += static_cast<unsigned __int128>(view.sizes[i] - 1) *
              static_cast<uint64_t>(view.strides[i]);
    }
    if (last >= view.mask.numel) throw ProtocolError("correlation request: a view beyond its mask");
  }

  std::span<const uint8_t> bytes_;
  int parties_;
};

ring::BilinearMap read_map(Reader& reader) {
  ring::BilinearMap map;
  const auto kind = reader.get<uint8_t>();
  if (kind > static_cast<uint8_t>(ring::Bilinear::convolution)) {
    throw ProtocolError("correlation request: unknown bilinear map");
  }
  map.kind = static_cast<ring::Bilinear>(kind);
  if (map.kind == ring::Bilinear::convolution) {
    map.convolution.stride = reader.get_list();
    map.convolution.padding = reader.get_list();
    map.convolution.dilation = reader.get_list();
    map.convolution.groups = reader.get<int64_t>();
    if (map.convolution.groups < 1 || map.convolution.groups > (int64_t{1} << 20)) {
      throw ProtocolError("correlation request: bad convolution");
    }
    for (const auto* list :
         {&map.convolution.stride, &map.convolution.padding, &map.convolution.dilation}) {
      for (const int64_t v : *list) {
        if (v < 0 || v > (int64_t{1} << 20))
          throw ProtocolError("correlation request: bad convolution");
      }
    }
  }
  return map;
}

Significant read_significant(Reader& reader, Comparison mode) {
  Significant significant;
  significant.first = reader.get_number("first significant word", 0, 2);
  significant.words = reader.get_number("significant words", 2, 4);
  const bool halved = significant.words == 2 && mode != Comparison::low_bits;
  if (!halved && !(significant == Significant{})) {
    throw ProtocolError("correlation request: this comparison looks at all words");
  }
  return significant;
}

Harmonics read_harmonics(Reader& reader) {
  Harmonics shape;
  shape.period_bits = static_cast<uint8_t>(reader.get_number("period", 1, 64));
  shape.count = static_cast<uint8_t>(reader.get_number("count of harmonics", 1, kMaxHarmonics));
  shape.odd = reader.get_number("odd", 0, 1) != 0;
  return shape;
}

Octaves read_octaves(Reader& reader) {
  Octaves shape;
  shape.fraction_bits = static_cast<uint8_t>(reader.get_number("fraction bits", 1, 58));
  shape.low_bits = static_cast<uint8_t>(
      reader.get_number("low bits", shape.fraction_bits, shape.fraction_bits + 4));
  shape.index_bits = static_cast<uint8_t>(reader.get_number("index bits", 1, 6));
  shape.scale = static_cast<uint8_t>(reader.get_number("scale", 0, 40));
  if (shape.low_bits + shape.index_bits > 64) {
    throw ProtocolError("correlation request: octaves beyond the element");
  }
  return shape;
}

}  // namespace

std::vector<uint8_t> Descriptor::serialize() const {
  Writer w;
  w.put(static_cast<uint8_t>(kind));
  switch (kind) {
    case Kind::mask:
      w.put(numel);
      w.put(holders);
      break;
    case Kind::bilinear:
      w.put(static_cast<uint8_t>(map.kind));
      if (map.kind == ring::Bilinear::convolution) {
        w.put_list(map.convolution.stride);
        w.put_list(map.convolution.padding);
        w.put_list(map.convolution.dilation);
        w.put(map.convolution.groups);
      }
      w.put_view(left);
      w.put_view(right);
      break;
    case Kind::truncation:
      w.put_view(left);
      w.put(shift);
      break;
    case Kind::wrap:
      w.put(numel);
      w.put(shift);
      break;
    case Kind::comparison:
      w.put(numel);
      w.put(static_cast<uint8_t>(comparison));
      w.put(shift);
      w.put(static_cast<uint8_t>(significant.first));
      w.put(static_cast<uint8_t>(significant.words));
      break;
    case Kind::segments:
      w.put(numel);
      w.put(degree);
      w.put(static_cast<uint8_t>(thresholds.size()));
      for (const uint64_t t : thresholds) w.put(t);
      break;
    case Kind::harmonics:
      w.put(numel);
      w.put(harmonics.period_bits);
      w.put(harmonics.count);
      w.put(static_cast<uint8_t>(harmonics.odd));
      break;
    case Kind::octaves:
      w.put(numel);
      w.put(octaves.fraction_bits);
      w.put(octaves.low_bits);
      w.put(octaves.index_bits);
      w.put(octaves.scale);
      break;
    case Kind::equality:
    case Kind::tournament:
    case Kind::choice:
      w.put(numel);
      break;
    case Kind::one_hot:
    case Kind::point:
      w.put(numel);
      w.put(size);
      break;
  }
  return std::move(w.bytes);
}

Descriptor Descriptor::parse(std::span<const uint8_t> bytes, int parties) {
  Reader reader(bytes, parties);
  Descriptor d;
  const auto kind = reader.get<uint8_t>();
  switch (static_cast<Kind>(kind)) {
    case Kind::mask:
      d.numel = reader.get_numel();
      d.holders = reader.get_holders();
      break;
    case Kind::bilinear:
      d.map = read_map(reader);
      d.left = reader.get_view();
      d.right = reader.get_view();
      try {
        if (product_of(d.map.output_sizes(d.left.sizes, d.right.sizes)) > kMaxElements) {
          throw ProtocolError("correlation request: the product is too large");
        }
      } catch (const ShapeError& error) {
        throw ProtocolError(fmt::format("correlation request: {}", error.what()));
      }
      break;
    case Kind::truncation:
      d.left = reader.get_view();
      d.shift = reader.get_shift(kMaxShift);
      break;
    case Kind::wrap:
      if (parties != 2) throw ProtocolError("correlation request: a wrap is for two parties");
      d.numel = reader.get_numel();
      d.shift = reader.get_shift(kMaxShift);
      break;
    case Kind::comparison: {
      d.numel = reader.get_numel();
      const auto mode = reader.get<uint8_t>();
      if (mode > static_cast<uint8_t>(Comparison::low_bits)) {
        throw ProtocolError("correlation request: unknown comparison");
      }
      d.comparison = static_cast<Comparison>(mode);
      const bool truncates =
          d.comparison == Comparison::relu_truncate || d.comparison == Comparison::low_bits;
      if (truncates) {
        d.shift = reader.get_shift(d.comparison == Comparison::low_bits ? 16 : 32);
      } else if (reader.get<uint8_t>() != 0) {
        throw ProtocolError("correlation request: this comparison has no shift");
      }
      d.significant = read_significant(reader, d.comparison);
      break;
    }
    case Kind::segments: {
      d.numel = reader.get_numel();
      d.degree = static_cast<uint8_t>(reader.get_number("degree", 0, kMaxDegree));
      d.thresholds.resize(reader.get_number("count of thresholds", 1, kMaxThresholds));
      for (uint64_t& t : d.thresholds) t = reader.get<uint64_t>();
      break;
    }
    case Kind::harmonics:
      d.numel = reader.get_numel();
      d.harmonics = read_harmonics(reader);
      break;
    case Kind::octaves:
      d.numel = reader.get_numel();
      d.octaves = read_octaves(reader);
      break;
    case Kind::equality:
    case Kind::tournament:
    case Kind::choice:
      d.numel = reader.get_numel();
      break;
    case Kind::one_hot:
      d.numel = reader.get_numel();
      d.size = reader.get_numel();
      if (d.size == 0) throw ProtocolError("correlation request: a one-hot of no entries");
      break;
    case Kind::point:
      if (parties != 2) throw ProtocolError("correlation request: a point is for two parties");
      d.numel = reader.get_numel();
      d.size = reader.get<uint64_t>();
      if (d.size < 1 || d.size > 30) {
        throw ProtocolError(
            fmt::format("correlation request: {} bits; allowed are 1 to 30", d.size));
      }
      break;
    default:
      throw ProtocolError(fmt::format("correlation request: unknown kind {}", kind));
  }
  d.kind = static_cast<Kind>(kind);
  reader.finish();
  if (d.correction_bytes() > kMaxCorrectionBytes) {
    throw ProtocolError(fmt::format("correlation request: {} bytes of corrections; allowed are {}",
                                    d.correction_bytes(), kMaxCorrectionBytes));
  }
  return d;
}

}  // namespace cryptensor::correlation
