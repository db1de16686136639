// SPDX-License-Identifier: MIT
// What is exact in the ring: sums, products and what is made of them, for every kind of operand.
#include <gtest/gtest.h>

#include "core/errors.h"
#include "session.h"

namespace cryptensor::protocol {
namespace {

using namespace testing_session;

class Conformance : public testing::TestWithParam<Settings> {
 protected:
  void expect_exact(const Program& program) { expect_conforms(GetParam(), program); }
};
INSTANTIATE_TEST_SUITE_P(Sessions, Conformance, testing::ValuesIn(all_settings()),
                         [](const auto& info) {
                           return std::to_string(info.param.parties) + "_" +
                                  (info.param.third_party ? "third_party" : "first_party");
                         });

// apply(engine, a, b) for operands of every two kinds.
Program for_every_two(const at::Tensor& a, const at::Tensor& b, int bits_a, int bits_b,
                      const std::function<Secret(Engine&, const Secret&, const Secret&)>& apply) {
  return [=](Engine& e) {
    Secrets out;
    for (const Holder left : kHolders) {
      for (const Holder right : kHolders) {
        out.push_back(apply(e, operand(e, a, bits_a, left, 10), operand(e, b, bits_b, right, 20)));
      }
    }
    return out;
  };
}

TEST_P(Conformance, Sums) {
  const at::Tensor a = draw({3, 4}, 1), b = draw({4}, 2);
  const auto sums = [](Engine& e, const Secret& x, const Secret& y) {
    return e.add(e.subtract(x, y), e.subtract(e.negate(y), e.scale(x, 5)));
  };
  expect_exact(for_every_two(a, b, 16, 16, sums));
  expect_exact(for_every_two(a, b, 32, 16, sums));
  expect_exact(for_every_two(a, b, 0, 16, sums));
}

TEST_P(Conformance, LocalOperations) {
  const at::Tensor x = draw({2, 3, 4}, 3);
  expect_exact([&](Engine& e) {
    Secrets out;
    for (const Holder holder : kHolders) {
      const Secret s = operand(e, x, 16, holder);
      for (const bool keep : {false, true}) {
        out.insert(out.end(), {e.sum(s, {}, keep), e.sum(s, {1}, keep), e.sum(s, {0, -1}, keep)});
      }
      out.insert(out.end(), {e.cumulative_sum(s, 1), e.negate(s), e.scale(s, 3), e.scale(s, -0.375),
                             e.scale(s, 1.0 / 3), e.scale(s, 0)});
      out.push_back(e.share(s));
      const auto aligned = e.aligned({s, operand(e, x[0], 32, Holder::shared), s});
      out.insert(out.end(), aligned.begin(), aligned.end());
    }
    return out;
  });
}

TEST_P(Conformance, Products) {
  const auto product = [](const ring::BilinearMap& map) {
    return [map](Engine& e, const Secret& x, const Secret& y) { return e.product(map, x, y); };
  };
  expect_exact(for_every_two(draw({3, 4}, 1), draw({3, 4}, 2), 16, 16, product(kMultiply)));
  expect_exact(for_every_two(draw({5, 3, 1}, 1), draw({4}, 2), 16, 0, product(kMultiply)));
  expect_exact(for_every_two(draw({3, 5}, 3), draw({5, 2}, 4), 16, 16, product(kMatmul)));
  expect_exact(for_every_two(draw({2, 3, 5}, 3), draw({5}, 4), 16, 16, product(kMatmul)));
  expect_exact(for_every_two(draw({2, 3, 6, 5}, 5), draw({4, 3, 3, 2}, 6), 16, 16,
                             product(convolution({2, 1}, {1, 0}, {1, 2}, 1))));
  expect_exact(for_every_two(draw({2, 4, 9}, 5), draw({4, 2, 3}, 6), 16, 16,
                             product(convolution({1}, {1}, {1}, 2))));
}

TEST_P(Conformance, ProductsOfEdgeShapes) {
  const auto multiply = [](Engine& e, const Secret& x, const Secret& y) {
    return e.product(kMultiply, x, y);
  };
  const auto matmul = [](Engine& e, const Secret& x, const Secret& y) {
    return e.product(kMatmul, x, y);
  };
  expect_exact(for_every_two(draw({}, 1), draw({}, 2), 16, 16, multiply));
  expect_exact(for_every_two(draw({0}, 1), draw({0}, 2), 16, 16, multiply));
  expect_exact(for_every_two(draw({0, 3}, 1), draw({1, 3}, 2), 16, 16, multiply));
  expect_exact(for_every_two(draw({2, 1}, 1), draw({}, 2), 16, 16, multiply));
  expect_exact(for_every_two(draw({4}, 1), draw({4}, 2), 16, 16, matmul));
  expect_exact(for_every_two(draw({0, 3}, 1), draw({3, 2}, 2), 16, 16, matmul));
  expect_exact(for_every_two(draw({2, 0}, 1), draw({0, 3}, 2), 16, 16, matmul));
}

TEST_P(Conformance, ProductsOfViews) {
  const at::Tensor a = draw({4, 6}, 7), b = draw({6, 4}, 8);
  expect_exact([&](Engine& e) {
    Secrets out;
    const auto view = [](const Secret& s, const at::Tensor& t) { return s.rearranged(t); };
    for (const Holder left : kHolders) {
      for (const Holder right : kHolders) {
        const Secret x = operand(e, a, 16, left, 10), y = operand(e, b, 16, right, 20);
        out.push_back(e.product(kMultiply, view(x, x.share().t()), y));
        out.push_back(e.product(kMatmul, view(y, y.share().t()), view(x, x.share().t())));
        const Secret columns = view(x, x.share().slice(1, 1, 6, 2));
        const Secret row = view(y, y.share()[2].slice(0, 0, 3).expand({4, 3}));
        out.push_back(e.product(kMultiply, columns, row));
        out.push_back(e.product(kMultiply, x, view(x, x.share()[1])));
        out.push_back(e.product(kMatmul, x, view(x, x.share().t())));
        out.push_back(
            e.product(kMatmul, view(x, x.share().slice(0, 1)), view(x, x.share().slice(0, 2).t())));
        out.push_back(e.square(columns));
        out.push_back(e.square(view(y, y.share().t())));
        out.push_back(e.square(row));
      }
    }
    return out;
  });
}

TEST_P(Conformance, Squares) {
  for (const Sizes& sizes : std::vector<Sizes>{{}, {0}, {5, 7}, {2, 1, 3}}) {
    expect_exact([&](Engine& e) {
      Secrets out;
      for (const Holder holder : kHolders) {
        const Secret x = operand(e, draw(sizes, 9), 16, holder);
        out.push_back(e.square(x));
        out.push_back(e.product(kMultiply, x, x));
      }
      return out;
    });
  }
}

TEST_P(Conformance, Selections) {
  const at::Tensor bits = draw({4, 5}, 1, 1).bitwise_and(1), a = draw({4, 5}, 2, 40);
  const at::Tensor b = draw({5}, 3, 40);
  for (const int pending : {0, 16}) {
    expect_exact([&](Engine& e) {
      Secrets out;
      for (const Holder chooser : kHolders) {
        for (const Holder left : kHolders) {
          for (const Holder right : kHolders) {
            out.push_back(e.select(operand(e, bits, 0, chooser, 5), operand(e, a, 16, left, 10),
                                   operand(e, b, 16 + pending, right, 20)));
          }
        }
      }
      return out;
    });
  }
}

TEST_P(Conformance, OperandsSettleBeforeTheyOverflow) {
  Settings settings = GetParam();
  settings.truncation = Truncation::exact;  // so that the settled operand is the oracle's
  const at::Tensor a = draw({3, 3}, 1, 40), b = draw({3, 3}, 2, 20);
  expect_conforms(settings, [&](Engine& e) {
    const Secret x = shared(e, a, 32, 10), y = shared(e, b, 16, 20), z = shared(e, b, 20, 30);
    return Secrets{e.product(kMatmul, x, y),
                   e.product(kMatmul, y, x),
                   e.product(kMultiply, x, x),
                   e.square(x),
                   e.product(kMultiply, z, y),
                   e.scale(x, 0.7),
                   e.product(kMultiply, operand(e, b, 16, Holder::last), x)};
  });
}

TEST_P(Conformance, OtherPrecisions) {
  for (const int precision : {8, 24}) {
    Settings settings = GetParam();
    settings.precision = precision;
    settings.truncation = Truncation::exact;
    const at::Tensor a = draw({3, 5}, 1, precision + 6), b = draw({5, 2}, 2, precision + 6);
    expect_conforms(settings, [&](Engine& e) {
      const Secret y = e.product(kMatmul, shared(e, a, precision, 10), shared(e, b, precision, 20));
      return Secrets{y, e.settle(y), e.product(kMatmul, y, e.settle(shared(e, b.t(), precision)))};
    });
  }
}

TEST(Products, ShapesThatDoNotFitCostNothing) {
  run({}, [](Engine& e) {
    const Secret x = shared(e, draw({2, 3}, 1)), y = operand(e, draw({2, 3}, 2), 16, Holder::last);
    e.statistics().reset();
    EXPECT_THROW(e.product(kMatmul, x, y), ShapeError);
    EXPECT_THROW(e.product(kMultiply, x, shared(e, draw({4}, 3))), ShapeError);
    EXPECT_THROW(e.product(convolution({1}, {0}, {1}, 1), x, y), ShapeError);
    const Secret nine = x.rearranged(x.share().view({1, 1, 1, 1, 1, 1, 1, x.share().size(0), -1}));
    EXPECT_THROW(e.product(kMultiply, nine, nine), ShapeError);
    EXPECT_THROW(e.square(nine), ShapeError);
    EXPECT_THROW(e.truncate(nine, 8, Truncation::interactive), ShapeError);
    for (const auto& [name, cost] : e.statistics().operations()) EXPECT_EQ(cost.bytes_sent, 0u);
    EXPECT_EQ(e.product(kMultiply, x, y).numel(), 6) << "the session goes on";
  });
}

TEST(Sums, AnIdentityArrangementOwnsItsMemory) {
  // cat and stack of one value may return it as it is: a later write must not reach the copy.
  const at::Tensor a = draw({4}, 1), b = draw({4}, 2);
  expect_conforms({}, [&](Engine& e) {
    const Secret x = shared(e, a, 16, 10);
    const auto aligned = e.aligned({x});
    const Secret y = e.combined(aligned, aligned[0].share());
    const Secret before = e.product(kMultiply, y, y);
    e.write(x, shared(e, b, 16, 20));
    return Secrets{before, e.product(kMultiply, y, y), e.product(kMultiply, x, x), y, x};
  });
}

}  // namespace
}  // namespace cryptensor::protocol
