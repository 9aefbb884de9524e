#include "agents/agent/fence.h"

#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "agents/agent/report_builder.h"
#include "agents/node/info.h"

namespace walstitch::agent {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kOutstanding{10 * 60 * 1000};  // then it is sent anew
constexpr milliseconds kInfoTimeout{1000};
constexpr milliseconds kBetween{50};

}  // namespace

Fence::Fence(boost::asio::any_io_executor executor, node::ClientOptions client, Endpoint relay,
             std::function<void(News)> told)
    : executor_(std::move(executor)),
      client_options_(std::move(client)),
      relay_(std::move(relay)),
      told_(std::move(told)) {
  client_options_.stop = &stop_;
  thread_ = std::thread([this] { Run(); });
}

Fence::~Fence() { Stop(); }

void Fence::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Fence::Run() {
  node::KvrocksClient client(client_options_);
  while (!stop_) {
    News news = Try(client);
    if (stop_) return;
    const bool over = news.over;
    boost::asio::post(executor_, [told = told_, news = std::move(news)]() mutable { told(std::move(news)); });
    if (over) return;
    std::this_thread::sleep_for(kBetween);
  }
}

Fence::News Fence::Try(node::KvrocksClient& client) {
  News news;
  auto set = client.SlaveOfAtOnce(relay_, kOutstanding);
  if (!set) {
    news.over = set.error().Code() == ErrorCode::kUnavailable;
    news.trouble = set.error().Message();
    return news;
  }
  auto info = client.Info(kInfoTimeout);
  if (!info) {
    news.trouble = info.error().Message();
    return news;
  }
  const node::NodeFacts facts = node::ReadFacts(*info);
  news.parked = facts.role == Role::kReplica && facts.master && SameEndpoint(*facts.master, relay_);
  news.over = news.parked;
  // Clients look for another master then; what they write here is refused.
  if (news.parked) (void)client.DropClients(kInfoTimeout);
  if (!news.parked) news.trouble = "SLAVEOF was answered, but the server is not the replica of its relay";
  return news;
}

}  // namespace walstitch::agent
