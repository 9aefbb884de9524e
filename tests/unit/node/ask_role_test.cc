#include "agents/node/ask_role.h"

#include <gtest/gtest.h>

#include "tests/support/environment.h"
#include "tests/unit/node/fake_kvrocks.h"

namespace walstitch::node {
namespace {

using std::chrono::milliseconds;
using tests::FakeKvrocks;

ClientOptions To(std::uint16_t port, milliseconds timeout = milliseconds(5000)) {
  ClientOptions options;
  options.port = port;
  options.timeout = timeout;
  return options;
}

TEST(Lives, WhoeverAnswersLivesEvenWithARefusal) {
  FakeKvrocks server([](const FakeKvrocks::Words&) { return "-NOAUTH Authentication required.\r\n"; });
  EXPECT_TRUE(Lives(To(server.Port())));
  ASSERT_EQ(server.Commands().size(), 1U);
  EXPECT_EQ(server.Commands()[0], FakeKvrocks::Words{"PING"}) << "and no password is sent in plain";
}

TEST(Lives, WhoeverClosesLives) {
  FakeKvrocks server([](const FakeKvrocks::Words&) { return ""; });
  EXPECT_TRUE(Lives(To(server.Port())));
}

TEST(Lives, WhoeverIsSilentDoesNot) {
  FakeKvrocks server([](const FakeKvrocks::Words&) { return std::nullopt; });
  EXPECT_FALSE(Lives(To(server.Port(), milliseconds(200))));
}

TEST(Lives, NobodyDoesNot) { EXPECT_FALSE(Lives(To(test::PickFreePort()))); }

}  // namespace
}  // namespace walstitch::node
