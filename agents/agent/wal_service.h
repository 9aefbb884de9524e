// The node's WAL, read on a worker thread: reading may take long, and must delay neither the relay nor
// the commands. From the files of the data directory where they can be read, else from the server.
//
// Call every method on the executor. Destroy it before the executor's context.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>

#include "agents/agent/command_runner.h"
#include "agents/node/kvrocks_client.h"
#include "agents/wal/stay.h"
#include "agents/wal/wal_directory.h"
#include "agents/wal/wal_source.h"
#include "policies/model/batch.h"
#include "policies/model/result.h"

namespace walstitch::agent {

class WalService : public WalControl {
 public:
  // An empty directory: the server is asked for everything.
  WalService(std::string data_directory, node::ClientOptions client);
  ~WalService() override;

  // Runs the question, which gives the text of the answer, on the worker. kUnavailable if too many wait.
  using Question = std::function<Result<std::string>(wal::WalSource&)>;
  boost::asio::awaitable<Result<std::string>> Ask(Question question);

  // The same of the files of a server that is dead: kConflict while a process has the database open
  // (RocksDB's lock), for then it may write on; kUnavailable if that cannot be told, or there are no files to
  // read.
  boost::asio::awaitable<Result<std::string>> AskDead(Question question);

  // Of the files alone, whatever the server does.
  boost::asio::awaitable<Result<WalExtent>> DirectoryExtent();
  boost::asio::awaitable<Result<void>> CheckReadable();
  boost::asio::awaitable<Result<wal::Stay>> StayOf(Sequence sequence);

  boost::asio::awaitable<Result<std::string>> MarkerAt(Sequence sequence) override;
  boost::asio::awaitable<Result<std::uint64_t>> FillerIn(SequenceRange range, std::string decision,
                                                         std::chrono::milliseconds timeout) override;

  // Ends the question under way, at its next batch; what still waits is not answered.
  void Stop();

 private:
  Result<std::string> Answer(const Question& question);
  Result<std::string> AnswerDead(const Question& question);
  boost::asio::awaitable<Result<std::string>> Queue(std::function<Result<std::string>()> work);

  bool has_directory_;
  wal::WalDirectory directory_;             // the worker's
  node::KvrocksClient client_;              // the worker's
  std::unique_ptr<wal::WalSource> polled_;  // the worker's
  int waiting_ = 0;
  std::atomic<bool> stop_{false};
  boost::asio::thread_pool pool_{1};
};

}  // namespace walstitch::agent
