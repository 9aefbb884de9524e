#include "agents/http/audit.h"

#include <gtest/gtest.h>

namespace walstitch::http {
namespace {

TEST(Audit, OneLineSaysWhoWhatAndWhatBecameOfIt) {
  AuditEntry entry;
  entry.token = "ops";
  entry.subject = "CN=ops,O=shop";
  entry.from = "10.0.0.5:41234";
  entry.method = "POST";
  entry.path = "/v1/groups/shop/failover";
  entry.status = 200;
  entry.took = std::chrono::milliseconds(132);
  EXPECT_EQ(
      AuditLine(entry),
      "audit: token ops, certificate CN=ops,O=shop, from 10.0.0.5:41234: POST /v1/groups/shop/failover: 200 "
      "after 132 ms");
  entry.token.clear();
  entry.subject.clear();
  entry.status = 0;
  EXPECT_EQ(
      AuditLine(entry),
      "audit: no token, from 10.0.0.5:41234: POST /v1/groups/shop/failover: gone before the answer after 132 "
      "ms");
}

TEST(Audit, ItIsOneLineWhateverIsInIt) {
  AuditEntry entry;
  entry.subject = "CN=evil\naudit: token root";
  entry.from = "10.0.0.5:1";
  entry.method = "GET\r\n";
  entry.path = "/" + std::string(10000, 'x') + "\n\x1b[2J";
  const std::string line = AuditLine(entry);
  EXPECT_EQ(line.find_first_of("\r\n\x1b"), std::string::npos) << line;
  EXPECT_LT(line.size(), 700U);
}

TEST(Audit, WhoeverIsRefusedAgainAndAgainDoesNotFillTheLog) {
  RefusalLimit limit;
  int written = 0;
  for (int i = 0; i < 1000; ++i) written += limit.Take(5000 + i / 2) ? 1 : 0;
  EXPECT_EQ(written, 10);
  EXPECT_TRUE(limit.Take(6500));
}

}  // namespace
}  // namespace walstitch::http
