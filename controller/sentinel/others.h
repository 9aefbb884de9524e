// The other controllers that answer Sentinel's protocol, as `SENTINEL sentinels` lists them: asked once a
// second for their ids. A name may stand for several: the headless Service of the controllers' pods, say.
// This one itself is left out, by its id. Runs on one executor, which one thread runs.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "controller/sentinel/knowledge.h"

namespace walstitch::sentinel {

struct OthersOptions {
  std::vector<std::string> addresses;  // "host:port"; an IPv6 address stands in brackets
  std::string id;                      // of this one
};

class Others {
 public:
  Others(boost::asio::any_io_executor executor, OthersOptions options);
  ~Others();
  Others(const Others&) = delete;
  Others& operator=(const Others&) = delete;

  void Start();
  void Stop();
  // Those that were ever heard, and still stand behind a name.
  [[nodiscard]] const std::vector<Other>& List() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::sentinel
