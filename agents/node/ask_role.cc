#include "agents/node/ask_role.h"

#include <hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string_view>

#include "agents/node/info.h"

namespace walstitch::node {

Result<Role> AskRole(const ClientOptions& options) {
  KvrocksClient client(options);
  auto info = client.Info();
  if (!info) return Fail(info.error());
  const NodeFacts facts = ReadFacts(*info);
  if (facts.loading.value_or(false)) return Fail(ErrorCode::kConflict, "it is loading its data");
  return facts.role;
}

bool Lives(const ClientOptions& options) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::milliseconds;
  const auto deadline = Clock::now() + options.timeout;
  timeval time{};
  time.tv_sec = static_cast<decltype(time.tv_sec)>(options.timeout.count() / 1000);
  time.tv_usec = static_cast<decltype(time.tv_usec)>(options.timeout.count() % 1000 * 1000);
  const std::unique_ptr<redisContext, decltype(&redisFree)> context(
      redisConnectWithTimeout(options.host.c_str(), options.port, time), redisFree);
  if (!context || context->err != 0) return false;
  constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
  if (::send(context->fd, kPing.data(), kPing.size(), MSG_NOSIGNAL) < 0) return true;  // it has closed
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{context->fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace walstitch::node
