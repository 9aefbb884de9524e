#include "agents/node/info.h"

#include <gtest/gtest.h>

#include <string>

namespace walstitch::node {
namespace {

constexpr const char* kReplica =
    "# Server\r\nversion:2.11.0\r\nkvrocks_version:2.11.0\r\nredis_version:4.0.0\r\nprocess_id:77\r\n"
    "uptime_in_seconds:12\r\n\r\n# Persistence\r\nloading:0\r\n\r\n# "
    "Stats\r\nsync_full:1\r\nsync_partial_ok:2\r\n"
    "sync_partial_err:3\r\n\r\n# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:7666\r\n"
    "master_link_status:up\r\nmaster_sync_unrecoverable_error:no\r\nmaster_sync_in_progress:0\r\n"
    "slave_repl_offset:41\r\nconnected_slaves:2\r\nslave0:ip=10.0.0.2,port=6666,offset=41,lag=0\r\n"
    "master_repl_offset:41\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"
    "# Last DBSIZE SCAN time: Sat Jan  1 10:00:00 2022\r\ndb0:keys=1,expires=0\r\nsequence:42\r\n";

TEST(Info, ReplicasFactsAreRead) {
  NodeFacts facts = ReadFacts(ParseInfo(kReplica));
  EXPECT_EQ(facts.role, Role::kReplica);
  ASSERT_TRUE(facts.master);
  EXPECT_EQ(facts.master->ToString(), "127.0.0.1:7666");
  EXPECT_EQ(facts.link_up, true);
  EXPECT_EQ(facts.sync_in_progress, false);
  EXPECT_EQ(facts.loading, false);
  EXPECT_EQ(facts.connected_replicas, 2U);
  EXPECT_EQ(facts.last, Sequence(42));  // the latest of the three
  EXPECT_EQ(facts.counters, (SyncCounters{1, 2, 3}));
  EXPECT_EQ(facts.version, "2.11.0");
  EXPECT_EQ(facts.cluster_enabled, false);
  EXPECT_EQ(facts.process_id, 77U);
}

TEST(Info, MasterHasNoMaster) {
  NodeFacts facts =
      ReadFacts(ParseInfo("role:master\r\nmaster_host:x\r\nmaster_port:1\r\nmaster_repl_offset:7\r\n"));
  EXPECT_EQ(facts.role, Role::kMaster);
  EXPECT_FALSE(facts.master);
  EXPECT_EQ(facts.last, Sequence(7));
}

TEST(Info, WhatIsLeftOutWhileRestoringIsAbsent) {
  NodeFacts facts = ReadFacts(ParseInfo("# Persistence\r\nloading:1\r\n"));
  EXPECT_EQ(facts.loading, true);
  EXPECT_EQ(facts.role, Role::kUnknown);
  EXPECT_FALSE(facts.last);
  EXPECT_FALSE(facts.counters);
  EXPECT_FALSE(facts.sync_in_progress);
}

TEST(Info, WhatIsNoNumberIsAbsent) {
  for (std::string value : {"", " 1", "1 ", "-1", "1.5", "0x10", "18446744073709551616", "abc"}) {
    EXPECT_FALSE(ReadFacts(ParseInfo("sequence:" + value + "\r\n")).last) << value;
  }
  EXPECT_EQ(ReadFacts(ParseInfo("sequence:18446744073709551615\r\n")).last, Sequence(UINT64_MAX));
  EXPECT_FALSE(ReadFacts(ParseInfo("role:slave\r\nmaster_host:a\r\nmaster_port:65536\r\n")).master);
}

TEST(Info, DatabaseThatHasReachedItsLimitRefusesWrites) {
  const auto facts = [](const std::string& used, const std::string& most) {
    return ReadFacts(ParseInfo("used_db_size:" + used + "\r\nmax_db_size:" + most + "\r\n"));
  };
  EXPECT_EQ(facts("11", "0").writes_refused, "");
  EXPECT_EQ(facts("10", "11").writes_refused, "");
  EXPECT_EQ(facts("", "11").writes_refused, "");
  EXPECT_EQ(facts("11", "11").writes_refused, "its database has 11 bytes, and max-db-size allows 11");
}

TEST(Info, AnyBytesAreTaken) {
  EXPECT_TRUE(ParseInfo("").empty());
  EXPECT_TRUE(ParseInfo("\r\n\n:\r\n:x\r\n#a:b\r\nno colon\r\n").empty());
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  ReadFacts(ParseInfo(bytes));
  EXPECT_EQ(ParseInfo("a:1\nb:2:3").at("b"), "2:3");
}

}  // namespace
}  // namespace walstitch::node
