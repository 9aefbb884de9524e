// A link of one machine to another, played on loopback: a TCP proxy in front of one port that can be cut,
// healed and slowed down, for everybody or for one of those who connect.
//
//   LinkProxy link(target_port);
//   connect to link.port() ...
//   link.Cut();     // not a byte passes any more, and no end of a connection; nobody is told
//   link.Heal();    // what was under way arrives
//
// A cut is what a network does that loses every packet. A connection stands, and is silent: what was sent is
// held back, an end is, too (no FIN, no RST). A new connection is taken and stays silent; if it is still
// wanted when the link is healed it is passed on then, else nobody ever hears of it. That is as near to a
// lost SYN as loopback comes: it is always the kernel that accepts.
//
// A target that nobody listens on is another thing: its machine refuses, and says so. Whoever ends the
// target's process says so with SetListening(false), or a connection is taken first, and reset then.
//
// Thread-safe. What Cut() says holds when it returns. One thread for each proxy.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct pollfd;

namespace walstitch::test {

class LinkProxy {
 public:
  // The name of whoever connected: of the process whose socket has the first port at its own end, and the
  // second at the other. Empty: gone already, and not worth a connection. Called in the proxy's thread.
  using CallerOf = std::function<std::string(uint16_t from_port, uint16_t to_port)>;

  // Without `caller_of` every caller is "somebody".
  explicit LinkProxy(uint16_t target, CallerOf caller_of = {});
  ~LinkProxy();
  LinkProxy(const LinkProxy&) = delete;
  LinkProxy& operator=(const LinkProxy&) = delete;

  uint16_t port() const { return port_; }

  // For one caller, or with no name for all of them. A link that was cut both ways heals when both are
  // healed.
  void Cut(const std::string& caller = "");
  void Heal(const std::string& caller = "");
  // How long each byte is under way, in each direction; the longer one of both, if there are two.
  void Delay(std::chrono::milliseconds each_way, const std::string& caller = "");
  // Everything as at first, for everybody.
  void Restore();

  // False: connections are refused from now on, as by a machine on which nobody listens; those that stand are
  // left alone. True: they are taken again as soon as the target takes any, some milliseconds later.
  void SetListening(bool listening);
  bool IsListening() const;

  // Connections that stand now.
  size_t connections() const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Rule {
    bool is_cut = false;
    std::chrono::milliseconds delay{0};
  };
  struct Chunk {
    Clock::time_point due;
    std::string bytes;
  };
  // One direction.
  struct Pipe {
    int from = -1;
    int to = -1;
    std::deque<Chunk> chunks;
    size_t queued = 0;
    bool ended = false;  // nothing more comes
    bool told = false;   // ... and the other side knows
    Clock::time_point ended_due;
  };
  struct Connection {
    std::string caller;
    int client = -1;
    int server = -1;  // -1: it came while the link was cut, and was not passed on
    Pipe up;
    Pipe down;
    bool is_over = false;
  };

  void Wake() const;
  void Run();
  Rule RuleOf(const std::string& caller) const;
  void Listen();
  bool TargetListens() const;
  void Accept();
  void Connect(Connection& connection);
  // What to wait for, and until when.
  void Prepare(std::vector<pollfd>* entries, Clock::time_point* until);
  void Move(Clock::time_point now);
  void Read(Connection& connection, Pipe& pipe, std::chrono::milliseconds delay, Clock::time_point now);
  void Write(Connection& connection, Pipe& pipe, Clock::time_point now);
  static void Close(Connection& connection, bool reset);

  const uint16_t target_;
  const CallerOf caller_of_;
  uint16_t port_ = 0;
  int wake_ = -1;
  std::atomic<bool> stop_{false};

  mutable std::mutex mutex_;
  int listener_ = -1;
  bool shall_listen_ = true;
  std::map<std::string, Rule> rules_;
  std::list<Connection> connections_;

  std::thread thread_;
};

}  // namespace walstitch::test
