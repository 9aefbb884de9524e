// Records of no user key in what would differ: flushes, scripts, namespaces, published messages. The verdict
// is what the policy says of them, and the reason names them. On real processes.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

// Every key may differ; of what is of no key, what the defaults say. Nothing is replayed, so that what the
// survivor wrote is missed.
constexpr char kKeysMayDiffer[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: keys-may-differ}
spec:
  default: ignore
  prefer: [aligned, padded, full]
)";

struct Case {
  std::string name;
  std::vector<std::string> command;
  Verdict verdict = Verdict::kFull;
  std::string keyspace;     // that the verdict's findings name
  bool of_kvrocks = false;  // the reference node does not write it
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class InternalKeyspaceTest : public ClusterTest, public ::testing::WithParamInterface<Case> {
 protected:
  static std::vector<std::string> KeyspacesOf(const DecisionRecord& record) {
    std::vector<std::string> names;
    for (const KeyspaceFinding& finding : record.decision.verdict->keyspaces) {
      names.push_back(finding.keyspace);
    }
    return names;
  }
  void SetUp() override {
    if (GetParam().of_kvrocks && !NodeServer::IsRealKvrocks()) GTEST_SKIP() << "on a real Kvrocks only";
  }
  DecisionRecord RejoinWith(bool in_tail) {
    ClusterOptions options;
    options.policy = kKeysMayDiffer;
    options.node_config["repl-namespace-enabled"] = "yes";
    options.password = "secret";
    StartCluster(options);
    cluster().Client("n1")("SET", "common", "1");  // a flush of nothing writes nothing
    const auto write = [](RedisClient& client) {
      const Reply reply = client.Command(GetParam().command);
      EXPECT_NE(Reply::Kind::kError, reply.kind) << reply;
    };
    Diverge([&](RedisClient& client) { in_tail ? write(client) : WriteSingles(client, 2, "tail-"); },
            [&](RedisClient& client) {
              if (!in_tail) write(client);
              WriteBatch(client, 5, "missed-");
            });
    return Rejoin();
  }
  void ExpectVerdict(const DecisionRecord& record) {
    EXPECT_EQ(GetParam().verdict, VerdictOf(record)) << record.decision.verdict->reasons.front().sentence;
    const std::vector<std::string> names = KeyspacesOf(record);
    EXPECT_NE(names.end(), std::find(names.begin(), names.end(), GetParam().keyspace))
        << Dump(ToJson(*record.decision.verdict));
    if (GetParam().verdict != Verdict::kFull) return;
    EXPECT_TRUE(HasReason(record, reason::kKeyspaceFullSync));
    EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n1"), cluster().Keyspace("n2")));
  }
};

TEST_P(InternalKeyspaceTest, InTheTailIsJudgedByThePolicy) {
  ASSERT_NO_FATAL_FAILURE(ExpectVerdict(RejoinWith(true)));
}

TEST_P(InternalKeyspaceTest, AmongWhatIsMissedIsJudgedByThePolicy) {
  ASSERT_NO_FATAL_FAILURE(ExpectVerdict(RejoinWith(false)));
}

INSTANTIATE_TEST_SUITE_P(
    Records, InternalKeyspaceTest,
    ::testing::Values(
        Case{"Flush", {"FLUSHALL"}, Verdict::kFull, "internal/flush"},
        Case{"Script", {"SCRIPT", "LOAD", "return 1"}, Verdict::kFull, "internal/propagate", true},
        Case{"Namespace", {"NAMESPACE", "ADD", "shop", "token"}, Verdict::kFull, "internal/propagate", true},
        Case{"Message", {"PUBLISH", "news", "text"}, Verdict::kPadded, "internal/pubsub"}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace walstitch::test
