#include "controller/sentinel/answers.h"

#include <gtest/gtest.h>

#include "tests/unit/sentinel/sample.h"

namespace walstitch::sentinel {
namespace {

using Kind = Reply::Kind;

// Names in Redis 7.0's order; the test with a real redis-sentinel holds them to it.
std::string NamesOf(const Reply& reply) {
  std::string names;
  for (std::size_t i = 0; i + 1 < reply.items.size(); i += 2) names += reply.items[i].text + " ";
  return names;
}

TEST(AnswersTest, MasterIsFoundByItsGroupsName) {
  const View view = ViewOf({Calm()});
  const Reply reply = AnswerSentinel({"sentinel", "GET-master-addr-by-name", "shop"}, Knowing(view));
  ASSERT_EQ(reply.items.size(), 2U);
  EXPECT_EQ(reply.items[0].text, "10.0.0.1");
  EXPECT_EQ(reply.items[1].text, "7001");
  EXPECT_EQ(reply.items[1].kind, Kind::kBulk);
  EXPECT_EQ(AnswerSentinel({"sentinel", "get-master-addr-by-name", "nope"}, Knowing(view)).kind,
            Kind::kNullArray);
}

TEST(AnswersTest, NobodyIsToldOfAMasterThatTakesNoWrites) {
  SampleGroup group = Calm();
  group.nodes[0].place = "parked";
  const View view = ViewOf({group});
  const Knowledge knowledge = Knowing(view);
  EXPECT_EQ(AnswerSentinel({"sentinel", "get-master-addr-by-name", "shop"}, knowledge).kind,
            Kind::kNullArray);
  const Reply master = AnswerSentinel({"sentinel", "master", "shop"}, knowledge);
  EXPECT_EQ(FieldOf(master, "flags"), "s_down,o_down,master");
  EXPECT_EQ(FieldOf(master, "port"), "7001");
  EXPECT_EQ(FieldOf(master, "o-down-time"), "500");
  const Reply down =
      AnswerSentinel({"sentinel", "is-master-down-by-addr", "10.0.0.1", "7001", "0", "*"}, knowledge);
  EXPECT_EQ(down.items[0].integer, 1);
  EXPECT_NE(
      AnswerInfo({"info", "sentinel"}, knowledge).text.find("name=shop,status=odown,address=10.0.0.1:7001"),
      std::string::npos);
}

TEST(AnswersTest, ChangeOfTheMasterIsShown) {
  SampleGroup group = Calm();
  group.nodes[0].place = "parked";
  group.nodes[0].connected = false;
  group.busy = "failover";
  const View view = ViewOf({group});
  const Reply master = AnswerSentinel({"sentinel", "master", "shop"}, Knowing(view));
  EXPECT_EQ(FieldOf(master, "flags"), "s_down,o_down,master,disconnected,failover_in_progress");
  EXPECT_EQ(FieldOf(master, "failover-state"), "wait_promotion");
  EXPECT_EQ(GroupToFailOver({"sentinel", "failover", "shop"}, Knowing(view)).error().Message(),
            "INPROG Failover already in progress");
}

TEST(AnswersTest, ReplicaThatIsHeldOrCopiedIsDown) {
  SampleGroup group = Calm();
  group.nodes[2].place = "parked";
  const View view = ViewOf({group});
  const Reply replicas = AnswerSentinel({"sentinel", "replicas", "shop"}, Knowing(view));
  ASSERT_EQ(replicas.items.size(), 2U);
  EXPECT_EQ(FieldOf(replicas.items[0], "flags"), "slave");
  EXPECT_EQ(FieldOf(replicas.items[0], "master-port"), "7001");
  EXPECT_EQ(FieldOf(replicas.items[0], "name"), "10.0.0.1:7002");
  EXPECT_EQ(FieldOf(replicas.items[1], "flags"), "s_down,slave,disconnected");
  EXPECT_EQ(FieldOf(replicas.items[1], "master-link-status"), "err");
  EXPECT_EQ(
      NamesOf(replicas.items[0]),
      "name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply "
      "last-ping-reply down-after-milliseconds info-refresh role-reported role-reported-time "
      "master-link-down-time master-link-status master-host master-port slave-priority slave-repl-offset "
      "replica-announced ");
}

TEST(AnswersTest, MasterHasTheFieldsOfRedis) {
  const View view = ViewOf({Calm()});
  EXPECT_EQ(
      NamesOf(AnswerSentinel({"sentinel", "masters"}, Knowing(view)).items.at(0)),
      "name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply "
      "last-ping-reply down-after-milliseconds info-refresh role-reported role-reported-time config-epoch "
      "num-slaves num-other-sentinels quorum failover-timeout parallel-syncs ");
}

TEST(AnswersTest, OtherControllersAreTheOtherSentinels) {
  const View view = ViewOf({Calm()});
  Knowledge knowledge = Knowing(view);
  Other other;
  other.id = std::string(40, 'b');
  other.endpoint = {"10.0.0.10", 26379};
  other.heard = true;
  other.heard_ms = 1400;
  knowledge.others = {other, other};
  knowledge.others[1].heard = false;
  const Reply reply = AnswerSentinel({"sentinel", "sentinels", "shop"}, knowledge);
  EXPECT_EQ(NamesOf(reply.items.at(0)),
            "name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply "
            "last-ping-reply down-after-milliseconds last-hello-message voted-leader voted-leader-epoch ");
  EXPECT_EQ(FieldOf(reply.items[0], "runid"), other.id);
  EXPECT_EQ(FieldOf(reply.items[1], "flags"), "s_down,sentinel,disconnected");
  EXPECT_EQ(AnswerSentinel({"sentinel", "ckquorum", "shop"}, knowledge).text,
            "OK 2 usable Sentinels. Quorum and failover authorization can be reached");
  EXPECT_EQ(AnswerSentinel({"sentinel", "myid"}, knowledge).text, std::string(40, 'a'));
}

TEST(AnswersTest, NothingIsToldWhileNothingIsKnown) {
  const View view;
  Knowledge knowledge = Knowing(view);
  knowledge.view = nullptr;
  knowledge.why = "nobody leads";
  for (const Request& request : {Request{"sentinel", "masters"},
                                 {"sentinel", "get-master-addr-by-name", "shop"},
                                 {"sentinel", "replicas", "shop"},
                                 {"sentinel", "is-master-down-by-addr", "10.0.0.1", "7001", "0", "*"},
                                 {"sentinel", "ckquorum", "shop"}}) {
    const Reply reply = AnswerSentinel(request, knowledge);
    EXPECT_EQ(reply.kind, Kind::kError) << request[1];
    EXPECT_EQ(reply.text, "LOADING nobody leads") << request[1];
  }
  EXPECT_EQ(AnswerRole(knowledge).text, "LOADING nobody leads");
  EXPECT_EQ(AnswerSentinel({"sentinel", "myid"}, knowledge).kind, Kind::kBulk);
  EXPECT_FALSE(GroupToFailOver({"sentinel", "failover", "shop"}, knowledge));
}

TEST(AnswersTest, GroupOfWhichNothingIsKnownYetIsNeitherMissingNorDown) {
  SampleGroup cart = NobodyHeard();
  cart.name = "cart";
  const View view = ViewOf({Calm(), cart});
  const Knowledge knowledge = Knowing(view);
  for (const Request& request : {Request{"sentinel", "get-master-addr-by-name", "cart"},
                                 {"sentinel", "master", "cart"},
                                 {"sentinel", "replicas", "cart"},
                                 {"sentinel", "ckquorum", "cart"},
                                 {"sentinel", "masters"}}) {
    const Reply reply = AnswerSentinel(request, knowledge);
    EXPECT_TRUE(reply.text.starts_with("LOADING ")) << request[1] << ": " << reply.text;
  }
  EXPECT_TRUE(
      GroupToFailOver({"sentinel", "failover", "cart"}, knowledge).error().Message().starts_with("LOADING "));
  EXPECT_EQ(AnswerSentinel({"sentinel", "get-master-addr-by-name", "shop"}, knowledge).items.size(), 2U);
  EXPECT_EQ(AnswerSentinel({"sentinel", "master", "nope"}, knowledge).text,
            "ERR No such master with that name");
  EXPECT_EQ(AnswerRole(knowledge).items[1].items.size(), 2U);
}

TEST(AnswersTest, QuorumIsNotThereWhereTheMasterWouldNotBeReplaced) {
  SampleGroup group = Calm();
  group.no_failover = "paused";
  const View view = ViewOf({group});
  const Reply reply = AnswerSentinel({"sentinel", "ckquorum", "shop"}, Knowing(view));
  EXPECT_EQ(reply.kind, Kind::kError);
  EXPECT_EQ(
      reply.text,
      "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority and authorize a "
      "failover: why: paused");
}

TEST(AnswersTest, OrderIsRefusedInRedisWordsWhereNobodyCouldTakeOver) {
  SampleGroup group = Calm();
  const Error error(ErrorCode::kConflict, "no node can take over: n2: it is loading its data");
  View view = ViewOf({group});
  EXPECT_EQ(AnswerRefusal(error, &view.groups.at("shop")).text,
            "ERR no node can take over: n2: it is loading its data");
  EXPECT_EQ(AnswerRefusal(error, nullptr).text, "ERR no node can take over: n2: it is loading its data");
  group.no_failover = "not-eligible";
  view = ViewOf({group});
  EXPECT_EQ(AnswerRefusal(error, &view.groups.at("shop")).text,
            "NOGOODSLAVE No suitable replica to promote: no node can take over: n2: it is loading its data");
  EXPECT_EQ(AnswerRefusal(Error(ErrorCode::kTimeout, "no answer"), &view.groups.at("shop")).text,
            "ERR no answer");
}

TEST(AnswersTest, WhatWouldChangeTheConfigurationIsRefusedWithTheReason) {
  const View view = ViewOf({Calm()});
  for (const Request& request : {Request{"sentinel", "reset", "*"},
                                 {"sentinel", "remove", "shop"},
                                 {"sentinel", "monitor", "a", "10.0.0.1", "1", "1"},
                                 {"sentinel", "set", "shop", "quorum", "2"},
                                 {"sentinel", "flushconfig"},
                                 {"sentinel", "config", "set", "announce-ip", "10.0.0.1"},
                                 {"sentinel", "debug"}}) {
    const Reply reply = AnswerSentinel(request, Knowing(view));
    EXPECT_EQ(reply.kind, Kind::kError) << request[1];
    EXPECT_EQ(reply.text.find("ERR "), 0U) << request[1] << ": " << reply.text;
    EXPECT_NE(reply.text.find("refused"), std::string::npos) << request[1] << ": " << reply.text;
  }
}

TEST(AnswersTest, ErrorsAreInRedisWords) {
  const View view = ViewOf({Calm()});
  const auto text = [&](const Request& request) { return AnswerSentinel(request, Knowing(view)).text; };
  EXPECT_EQ(text({"sentinel", "master", "nope"}), "ERR No such master with that name");
  EXPECT_EQ(text({"sentinel", "replicas", "nope"}), "ERR No such master with that name");
  EXPECT_EQ(text({"sentinel", "foo"}), "ERR unknown subcommand 'foo'. Try SENTINEL HELP.");
  EXPECT_EQ(text({"sentinel", "master"}), "ERR wrong number of arguments for 'sentinel|master' command");
  EXPECT_EQ(text({"sentinel", "is-master-down-by-addr", "a", "b", "0", "*"}),
            "ERR value is not an integer or out of range");
}

TEST(AnswersTest, RoleListsTheGroups) {
  SampleGroup cart = Calm();
  cart.name = "cart";
  const View view = ViewOf({Calm(), cart});
  const Reply reply = AnswerRole(Knowing(view));
  ASSERT_EQ(reply.items.size(), 2U);
  EXPECT_EQ(reply.items[0].text, "sentinel");
  ASSERT_EQ(reply.items[1].items.size(), 2U);
  EXPECT_EQ(reply.items[1].items[1].text, "shop");
}

TEST(AnswersTest, InfoGivesTheSectionsThatAreAskedFor) {
  const View view = ViewOf({Calm()});
  EXPECT_EQ(
      AnswerInfo({"info", "sentinel"}, Knowing(view)).text,
      "# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\nsentinel_tilt_since_seconds:-1\r\n"
      "sentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\n"
      "master0:name=shop,status=ok,address=10.0.0.1:7001,slaves=2,sentinels=1\r\n");
  const std::string all = AnswerInfo({"info"}, Knowing(view)).text;
  for (const char* section : {"# Server\r\n", "# Clients\r\n", "# Stats\r\n", "# CPU\r\n", "# Sentinel\r\n"})
    EXPECT_NE(all.find(section), std::string::npos) << section;
}

}  // namespace
}  // namespace walstitch::sentinel
