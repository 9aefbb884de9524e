#include "tests/bench/redis_group.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/support/node_server.h"

namespace walstitch::bench {

namespace fs = std::filesystem;
using std::chrono::seconds;

namespace {

constexpr std::int64_t kInFlight = 1000;  // keys

}  // namespace

RedisGroup::RedisGroup() : ports_{test::PickFreePort(), test::PickFreePort()} {}

// Sentinel first: what it would do about the ends of the others is of no interest any more.
RedisGroup::~RedisGroup() { sentinel_.Kill(); }

std::string RedisGroup::Version() {
  test::RedisClient client = Sentinel();
  return test::InfoField(client, "server", "redis_version");
}

test::RedisClient RedisGroup::Sentinel() const {
  return test::RedisClient(sentinel_.Port(), "127.0.0.1", seconds(2));
}

std::optional<std::string> RedisGroup::StartServer(std::size_t node, bool replica) {
  const std::string home = directory_.path() + "/" + std::to_string(node);
  fs::create_directories(home);
  std::ofstream config(home + "/redis.conf", std::ios::trunc);
  config << "port " << ports_[node] << "\nbind 127.0.0.1\ndaemonize no\nsave \"\"\nappendonly no\ndir "
         << home << "\nrepl-diskless-sync-delay 0\n";
  if (replica) config << "replicaof 127.0.0.1 " << ports_[1 - node] << "\n";
  config.close();
  if (auto error =
          servers_[node].Start({directory_.path() + "/redis-server", home + "/redis.conf"}, home + "/output"))
    return error;
  const auto answers = [&] { return Client(node)("PING").text == "PONG"; };
  if (!test::Eventually(seconds(10), answers)) return "redis-server does not answer";
  return std::nullopt;
}

std::optional<std::string> RedisGroup::Start() {
  fs::create_symlink(test::RedisSentinel::Binary(), directory_.path() + "/redis-server");
  for (const std::size_t node : {0U, 1U}) {
    if (auto error = StartServer(node, node == 1)) return error;
  }
  return sentinel_.Start({{kName, ports_[0]}});
}

std::optional<std::string> RedisGroup::StartAsReplica(std::size_t node) { return StartServer(node, true); }

std::optional<std::string> RedisGroup::WaitReady(std::size_t master) {
  const std::string master_port = std::to_string(ports_[master]);
  const std::string replica_port = std::to_string(ports_[1 - master]);
  std::string seen;
  const bool is_ready = test::Eventually(seconds(60), [&] {
    test::RedisClient client = Sentinel();
    const test::Reply state = client("SENTINEL", "MASTER", kName);
    const test::Reply replicas = client("SENTINEL", "REPLICAS", kName);
    seen = test::ToString(state) + " " + test::ToString(replicas);
    if (state.Field("port").text != master_port || state.Field("flags").text != "master") return false;
    for (const test::Reply& replica : replicas.items) {
      if (replica.Field("port").text == replica_port && replica.Field("flags").text == "slave" &&
          replica.Field("master-link-status").text == "ok" &&
          replica.Field("role-reported").text == "slave" &&
          replica.Field("master-port").text == master_port) {
        return true;
      }
    }
    return false;
  });
  if (!is_ready) return "Sentinel does not see the group as it is: " + seen;
  // Sentinel's picture is up to 10 s old. A replica that copies its master afresh has nothing meanwhile.
  const bool is_in_sync = test::Eventually(seconds(60), [&] {
    test::RedisClient replica = Client(1 - master);
    seen = test::InfoField(replica, "replication", "role") + " of " +
           test::InfoField(replica, "replication", "master_port") + ", link " +
           test::InfoField(replica, "replication", "master_link_status");
    return seen == "slave of " + master_port + ", link up" &&
           Client(1 - master)("DBSIZE").integer + kInFlight >= Client(master)("DBSIZE").integer;
  });
  if (!is_in_sync) return "the replica does not follow the master: " + seen;
  return std::nullopt;
}

std::optional<std::string> RedisGroup::WaitSwitched(std::size_t master) {
  std::string seen;
  const bool is_over = test::Eventually(seconds(60), [&] {
    test::RedisClient client = Sentinel();
    const test::Reply state = client("SENTINEL", "MASTER", kName);
    seen = test::ToString(state);
    return state.Field("port").text == std::to_string(ports_[master]) &&
           state.Field("flags").text == "master";
  });
  if (!is_over) return "Sentinel does not end its failover: " + seen;
  return std::nullopt;
}

}  // namespace walstitch::bench
