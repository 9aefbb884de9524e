// A receiver of webhooks, in threads of its own: keeps what comes, and answers as it is told. HTTP, or HTTPS
// with a certificate. Shares no code with the product. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/kubernetes/certificates.h"

namespace walstitch::test {

struct ReceivedHook {
  std::string method;
  std::string target;
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;
};

class WebhookReceiver {
 public:
  struct Reply {
    int status = 200;
    std::string fields;                  // more of the header, each line ended by CRLF
    std::chrono::milliseconds delay{0};  // before it is sent
  };
  using Answer = std::function<Reply(const ReceivedHook& request)>;

  // Listens on loopback from the beginning.
  explicit WebhookReceiver(std::optional<Certificate> certificate = std::nullopt);
  ~WebhookReceiver();
  WebhookReceiver(const WebhookReceiver&) = delete;
  WebhookReceiver& operator=(const WebhookReceiver&) = delete;

  [[nodiscard]] std::uint16_t Port() const { return port_; }
  [[nodiscard]] std::string Url() const;  // without a path
  void AnswerWith(Answer answer);         // from now on; the beginning: 200
  // Refuses connections, until it listens again at the same port.
  void StopListening();
  void Listen();

  [[nodiscard]] std::vector<ReceivedHook> Received() const;  // in order, whatever they were answered
  // False: fewer than that many came in time.
  bool WaitFor(std::size_t count, std::chrono::milliseconds patience = std::chrono::seconds(20)) const;
  [[nodiscard]] int RefusedHandshakes() const { return refused_; }

 private:
  struct Tls;
  void Accept(int listener);
  void Serve(int socket);
  void StopThreads();

  std::unique_ptr<Tls> tls_;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  std::atomic<int> listener_{-1};
  std::atomic<bool> closing_{false};
  std::atomic<int> refused_{0};
  mutable std::mutex mutex_;
  mutable std::condition_variable came_;
  Answer answer_;
  std::vector<ReceivedHook> received_;
  std::vector<int> sockets_;  // open connections
  std::vector<std::thread> serving_;
};

// Whether the signature of a request is right, as docs/webhooks.md says that it is to be checked.
bool SignatureHolds(const ReceivedHook& request, const std::string& secret);

}  // namespace walstitch::test
