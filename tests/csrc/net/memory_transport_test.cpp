// SPDX-License-Identifier: MIT
#include "net/memory_transport.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "core/errors.h"
#include "posted_frame.h"

namespace cryptensor::net {
namespace {

using std::chrono::milliseconds;

struct Pair {
  MemoryHub hub{2};
  std::shared_ptr<Transport> a = hub.transport(0);
  std::shared_ptr<Transport> b = hub.transport(1);
};

TEST(MemoryTransport, KnowsItsPlace) {
  MemoryHub hub(3);
  EXPECT_EQ(hub.transport(2)->rank(), 2);
  EXPECT_EQ(hub.transport(2)->size(), 3);
  EXPECT_THROW(hub.transport(3), ConfigError);
  EXPECT_THROW(hub.transport(-1), ConfigError);
  EXPECT_THROW(MemoryHub(0), ConfigError);
  EXPECT_THROW(hub.transport(0)->post_send(3, 0, frame_of("x")), ConfigError);
}

TEST(MemoryTransport, AbandonedReceiveSwallowsItsFrame) {
  Pair p;
  std::weak_ptr<Bytes> memory;
  {
    Posted abandoned(*p.b, 0, 0, 3);
    memory = abandoned.frame;
  }
  EXPECT_TRUE(memory.expired());  // nobody will write to it
  Posted next(*p.b, 0, 0, 3);
  p.a->post_send(1, 0, frame_of("one"));
  p.a->post_send(1, 0, frame_of("two"));
  EXPECT_EQ(next.wait(), "two");
}

TEST(MemoryTransport, OutlivesItsHub) {
  std::shared_ptr<Transport> a, b;
  {
    MemoryHub hub(2);
    a = hub.transport(0);
    b = hub.transport(1);
  }
  a->post_send(1, 0, frame_of("ok"));
  EXPECT_EQ(Posted(*b, 0, 0, 2).wait(), "ok");
}

}  // namespace
}  // namespace cryptensor::net
