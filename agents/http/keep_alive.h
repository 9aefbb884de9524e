// How the end of a machine that went away without a word is noticed on a connection that is silent by right.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace walstitch::http {

// After `idle_seconds` without a byte the kernel asks whether somebody is there, again each
// `interval_seconds`, and breaks the connection when `probes` of them brought no answer.
struct KeepAlive {
  int idle_seconds = 0;
  int interval_seconds = 0;
  int probes = 0;
};

inline void NoticeDeadPeer(int socket, const KeepAlive& times) {
  const int on = 1;
  (void)::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &times.idle_seconds, sizeof times.idle_seconds);
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &times.interval_seconds,
                     sizeof times.interval_seconds);
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &times.probes, sizeof times.probes);
}

}  // namespace walstitch::http
