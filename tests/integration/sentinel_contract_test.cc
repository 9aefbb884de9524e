// What a controller answers in Sentinel's protocol beside what a real redis-sentinel answers about the same
// nodes: the same fields in the same order, of the same types, in both versions of the protocol, and the same
// errors.
#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <fstream>

#include "tests/integration/cluster_fixture.h"
#include "tests/support/redis_sentinel.h"

namespace walstitch::test {
namespace {

namespace asio = boost::asio;
using std::chrono::seconds;

// A reply as the wire has it: its type, and for what has items these.
struct Wire {
  char type = '!';
  std::string text;  // of what has no items; "-1": nothing
  std::vector<Wire> items;
};

class WireClient {
 public:
  WireClient(uint16_t port, int protocol) : socket_(context_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
    if (protocol == 3) Ask({"HELLO", "3"});
  }
  Wire Ask(const std::vector<std::string>& words) {
    std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    asio::write(socket_, asio::buffer(bytes));
    return Read();
  }

 private:
  std::string Line() {
    const std::size_t size = asio::read_until(socket_, asio::dynamic_buffer(seen_), "\r\n");
    std::string line = seen_.substr(0, size - 2);
    seen_.erase(0, size);
    return line;
  }
  Wire Read() {
    const std::string line = Line();
    Wire wire;
    wire.type = line.at(0);
    wire.text = line.substr(1);
    if (wire.type == '$' || wire.type == '=') {
      const long size = std::stol(wire.text);
      if (size < 0) return wire;
      while (seen_.size() < static_cast<std::size_t>(size) + 2) {
        char buffer[4096];
        seen_.append(buffer, socket_.read_some(asio::buffer(buffer)));
      }
      wire.text = seen_.substr(0, static_cast<std::size_t>(size));
      seen_.erase(0, static_cast<std::size_t>(size) + 2);
    } else if (std::string("*%~>").find(wire.type) != std::string::npos) {
      const long count = std::stol(wire.text) * (wire.type == '%' ? 2 : 1);
      wire.text.clear();
      if (count < 0) wire.text = "-1";
      for (long i = 0; i < count; ++i) wire.items.push_back(Read());
    }
    return wire;
  }

  asio::io_context context_;
  asio::ip::tcp::socket socket_;
  std::string seen_;
};

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0) == std::string::npos;
}

// The shape of a list of fields: every name, and whether its value is a number. Values of no fixed kind
// ("runid", which Kvrocks does not have) are left open.
std::string FieldShape(const Wire& wire) {
  std::string shape = std::string(1, wire.type) + "{";
  for (std::size_t i = 0; i + 1 < wire.items.size(); i += 2) {
    const Wire& value = wire.items[i + 1];
    shape += std::string(1, wire.items[i].type) + wire.items[i].text + "=" + value.type +
             (IsNumber(value.text) ? "number " : "text ");
  }
  return shape + "}";
}

std::string ListShape(const Wire& wire) {
  std::string shape(1, wire.type);
  for (const Wire& item : wire.items) shape += " " + FieldShape(item);
  return shape;
}

// The type, and those of the items.
std::string TypeShape(const Wire& wire) {
  std::string shape(1, wire.type);
  if (wire.items.empty()) shape += wire.text == "-1" ? "nil" : "";
  for (const Wire& item : wire.items) shape += TypeShape(item);
  return shape;
}

std::string Whole(const Wire& wire) {
  std::string text = std::string(1, wire.type) + wire.text;
  for (const Wire& item : wire.items) text += "[" + Whole(item) + "]";
  return text;
}

// "# Section", and the names of its fields.
std::string InfoShape(const Wire& wire) {
  std::istringstream lines(wire.text);
  std::string shape(1, wire.type);
  for (std::string line; std::getline(lines, line);) shape += " " + line.substr(0, line.find(':'));
  return shape;
}

class SentinelContractTest : public ClusterTest {
 protected:
  // Nodes that replicate directly: a group that both find as it is, and neither has made.
  void StartBoth() {
    if (RedisSentinel::Binary().empty())
      GTEST_SKIP() << "no redis-sentinel here: ./x test installs Debian's redis-tools";
    port_ = PickFreePort();
    ClusterOptions options;
    options.nodes = {"n1", "n2", "n3"};
    options.direct = true;
    // A real one is the other that answers: it says its id as controllers do.
    options.controller_config = "failover: {automatic: false}\nsentinel: {port: " + std::to_string(port_) +
                                ", others: [\"127.0.0.1:" + std::to_string(second_.Port()) + "\"]}\n";
    ASSERT_NO_FATAL_FAILURE(StartCluster(options));
    for (RedisSentinel* sentinel : {&first_, &second_}) {
      const auto error = sentinel->Start({{"shop", cluster().Node("n1").port()}});
      ASSERT_FALSE(error) << *error;
    }
    const auto ready = [](uint16_t port) {
      RedisClient client(port, "127.0.0.1", seconds(2));
      const Reply master = client("SENTINEL", "MASTER", "shop");
      return master.Field("num-slaves").text == "2" && master.Field("num-other-sentinels").text == "1" &&
             master.Field("flags").text == "master" && master.Field("role-reported").text == "master";
    };
    ASSERT_TRUE(cluster().WaitUntil([&] { return ready(first_.Port()) && ready(port_); }, seconds(40)));
    // INFO of a replica comes some seconds later, and its link is err till then.
    ASSERT_TRUE(cluster().WaitUntil(
        [&] {
          RedisClient client(first_.Port(), "127.0.0.1", seconds(2));
          const Reply replicas = client("SENTINEL", "REPLICAS", "shop");
          return std::all_of(replicas.items.begin(), replicas.items.end(), [](const Reply& each) {
            return each.Field("master-link-status").text == "ok" && each.Field("flags").text == "slave";
          });
        },
        seconds(40)));
  }

  template <typename Shape>
  void ExpectAlike(const std::vector<std::string>& words, Shape shape) {
    std::string text;
    for (const std::string& word : words) text += word + " ";
    for (const int protocol : {2, 3}) {
      EXPECT_EQ(shape(WireClient(port_, protocol).Ask(words)),
                shape(WireClient(first_.Port(), protocol).Ask(words)))
          << text << "in RESP" << protocol;
    }
  }

  uint16_t port_ = 0;
  RedisSentinel first_;
  RedisSentinel second_;
};

TEST_F(SentinelContractTest, FieldsTypesAndErrorsAreThoseOfARealSentinelOnTheSameNodes) {
  StartBoth();
  if (IsSkipped() || HasFatalFailure()) return;
  for (const char* word : {"masters", "MASTERS"}) ExpectAlike({"SENTINEL", word}, ListShape);
  ExpectAlike({"SENTINEL", "master", "shop"}, FieldShape);
  ExpectAlike({"SENTINEL", "replicas", "shop"}, ListShape);
  ExpectAlike({"SENTINEL", "slaves", "shop"}, ListShape);
  ExpectAlike({"SENTINEL", "sentinels", "shop"}, ListShape);
  ExpectAlike({"SENTINEL", "myid"}, TypeShape);
  ExpectAlike({"SENTINEL", "help"},
              [](const Wire& wire) { return std::string(1, wire.type) + wire.items.at(0).type; });
  ExpectAlike({"SENTINEL", "config", "get", "*"}, [](const Wire& wire) {
    std::string names(1, wire.type);
    for (std::size_t i = 0; i < wire.items.size(); i += 2) names += " " + wire.items[i].text;
    return names;
  });
  for (const char* section : {"sentinel", "server", "clients", "stats", "cpu", "everything", "none-such"})
    ExpectAlike({"INFO", section}, InfoShape);
  ExpectAlike({"INFO"}, InfoShape);
  ExpectAlike({"CLIENT", "ID"}, TypeShape);
  ExpectAlike({"CLIENT", "INFO"}, TypeShape);
  ExpectAlike({"CLIENT", "LIST"}, TypeShape);
  ExpectAlike({"COMMAND", "COUNT"}, TypeShape);
  ExpectAlike({"COMMAND", "INFO", "ping"}, [](const Wire& wire) {
    std::string types;
    for (const Wire& item : wire.items.at(0).items) types += item.type;
    return types;
  });
  ExpectAlike({"HELLO"}, FieldShape);

  // Word for word.
  const std::vector<std::vector<std::string>> exactly = {
      {"PING"},
      {"PING", "hello"},
      {"ping", "a", "b"},
      {"ROLE"},
      {"HELLO", "4"},
      {"HELLO", "x"},
      {"HELLO", "3", "BLAH"},
      {"AUTH", "x"},
      {"SENTINEL"},
      {"SENTINEL", "foo"},
      {"SENTINEL", "get-master-addr-by-name", "shop"},
      {"SENTINEL", "get-master-addr-by-name", "nope"},
      {"SENTINEL", "get-master-addr-by-name"},
      {"SENTINEL", "master", "nope"},
      {"SENTINEL", "replicas", "nope"},
      {"SENTINEL", "sentinels", "nope"},
      {"SENTINEL", "ckquorum", "nope"},
      {"SENTINEL", "failover", "nope"},
      {"SENTINEL", "is-master-down-by-addr", "127.0.0.1", std::to_string(cluster().Node("n1").port()), "0",
       "*"},
      {"SENTINEL", "is-master-down-by-addr", "127.0.0.1", "1", "0", "*"},
      {"SENTINEL", "is-master-down-by-addr", "127.0.0.1", "foo", "0", "*"},
      {"SENTINEL", "pending-scripts"},
      {"INFO", "sentinel"},
      {"CLIENT"},
      {"CLIENT", "GETNAME"},
      {"CLIENT", "SETNAME", "abc"},
      {"CLIENT", "SETNAME", "a b"},
      {"CLIENT", "NO-EVICT", "on"},
      {"ACL", "WHOAMI"},
      {"SUBSCRIBE", "a"},
      {"PSUBSCRIBE", "*"},
      {"UNSUBSCRIBE"},
      {"PUNSUBSCRIBE"},
      {"UNSUBSCRIBE", "x"},
      {"GET", "a"},
      {"SET", "a", "b"},
      {"PUBLISH", "x", "y"},
      {"MONITOR"},
  };
  for (const auto& words : exactly) ExpectAlike(words, Whole);

  // Theirs would replace the master; ours, which only watches, would not. The words are the same.
  EXPECT_EQ(Whole(WireClient(first_.Port(), 2).Ask({"SENTINEL", "ckquorum", "shop"})),
            "+OK 2 usable Sentinels. Quorum and failover authorization can be reached");
  const std::string ours = Whole(WireClient(port_, 2).Ask({"SENTINEL", "ckquorum", "shop"}));
  EXPECT_TRUE(
      ours.starts_with("-NOQUORUM 2 usable Sentinels. Not enough available Sentinels to reach the "
                       "majority and authorize a failover: the group is not managed"))
      << ours;
}

// The failover is Sentinel's here. The controller, which only watches, tells its subscribers of the same
// switch.
TEST_F(SentinelContractTest, SwitchIsToldInTheWordsOfARealSentinel) {
  StartBoth();
  if (IsSkipped() || HasFatalFailure()) return;
  const auto told = [&](uint16_t port) {
    RedisClient client(port, "127.0.0.1", seconds(40));
    EXPECT_FALSE(client("SUBSCRIBE", "+sdown", "+odown", "+switch-master", "+failover-end").IsBroken());
    for (int i = 0; i < 3; ++i) client.ReadReply();
    return client;
  };
  RedisClient theirs = told(first_.Port());
  RedisClient ours = told(port_);
  cluster().KillNode("n1");
  const auto events = [](RedisClient& client) {
    std::vector<std::string> texts;
    while (texts.empty() || !texts.back().starts_with("+switch-master")) {
      const Reply message = client.ReadReply();
      if (message.items.size() != 3) {
        texts.push_back("+switch-master: " + ToString(message));
        break;
      }
      const std::string text = message.items[1].text + " " + message.items[2].text;
      // Who leads Sentinel's failover is drawn; only that one tells of its end.
      if (text.find("master shop") != std::string::npos || text.starts_with("+switch-master"))
        texts.push_back(text);
    }
    std::erase_if(texts, [](const std::string& text) { return text.starts_with("+failover-end"); });
    // How many of the two agreed by then is by chance.
    for (std::string& text : texts) text = text.substr(0, text.find(" #quorum"));
    std::sort(texts.begin(), texts.end());
    return texts;
  };
  EXPECT_EQ(events(ours), events(theirs));
}

}  // namespace
}  // namespace walstitch::test
