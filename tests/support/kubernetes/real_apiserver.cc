#include "tests/support/kubernetes/real_apiserver.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/support/kubernetes/certificates.h"
#include "tests/support/kubernetes/https_call.h"

namespace walstitch::test {
namespace {

std::string Program(const char* variable) {
  const char* path = std::getenv(variable);
  return path == nullptr ? std::string() : std::string(path);
}

std::string EndOf(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  return all.size() > 3000 ? all.substr(all.size() - 3000) : all;
}

}  // namespace

std::string RealApiServer::WhyNot() {
  for (const char* variable : {"KUBE_APISERVER_BIN", "ETCD_BIN"}) {
    const std::string path = Program(variable);
    if (path.empty()) return std::string(variable) + " names no program: not tested on a real API server";
    if (::access(path.c_str(), X_OK) != 0) return std::string(variable) + ": " + path + " cannot be run";
  }
  return {};
}

RealApiServer::RealApiServer(const std::map<std::string, std::string>& tokens)
    : port_(PickFreePort()), etcd_port_(PickFreePort()) {
  const std::string& home = directory_.path();
  const CertificateAuthority authority("walstitch-test-ca");
  const Certificate own = authority.Issue("kube-apiserver", LoopbackNames());
  ca_pem_ = authority.Pem();
  WritePrivateFile(home + "/tls.crt", own.certificate_pem);
  WritePrivateFile(home + "/tls.key", own.key_pem);
  WritePrivateFile(home + "/service-account.key", MakeRsaKeyPem());
  std::string table = std::string(kAdminToken) + ",admin,admin,\"system:masters\"\n";
  for (const auto& [token, user] : tokens) table += token + "," + user + "," + user + "\n";
  WritePrivateFile(home + "/tokens.csv", table);

  const std::string client = "http://127.0.0.1:" + std::to_string(etcd_port_);
  const std::string peer = "http://127.0.0.1:" + std::to_string(PickFreePort());
  const auto failed = etcd_.Start(
      {Program("ETCD_BIN"), "--data-dir", home + "/etcd", "--listen-client-urls", client,
       "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
       "--initial-cluster", "default=" + peer, "--unsafe-no-fsync", "--log-level", "warn"},
      home + "/etcd.log");
  if (failed) throw std::runtime_error(*failed);
  StartApiServer();
}

void RealApiServer::StartApiServer() {
  const std::string& home = directory_.path();
  const auto failed = api_server_.Start({Program("KUBE_APISERVER_BIN"),
                                         "--etcd-servers",
                                         "http://127.0.0.1:" + std::to_string(etcd_port_),
                                         "--bind-address",
                                         "127.0.0.1",
                                         "--secure-port",
                                         std::to_string(port_),
                                         "--tls-cert-file",
                                         home + "/tls.crt",
                                         "--tls-private-key-file",
                                         home + "/tls.key",
                                         "--token-auth-file",
                                         home + "/tokens.csv",
                                         "--authorization-mode",
                                         "RBAC",
                                         "--service-account-key-file",
                                         home + "/service-account.key",
                                         "--service-account-signing-key-file",
                                         home + "/service-account.key",
                                         "--service-account-issuer",
                                         "https://127.0.0.1",
                                         "--service-cluster-ip-range",
                                         "10.96.0.0/16",
                                         "--disable-admission-plugins",
                                         "ServiceAccount",
                                         "--allow-privileged=true",
                                         "--cert-dir",
                                         home + "/certs",
                                         "--etcd-compaction-interval",
                                         "0",
                                         "--shutdown-delay-duration",
                                         "0s"},
                                        home + "/kube-apiserver.log");
  if (failed) throw std::runtime_error(*failed);
  WaitUntilReady();
}

void RealApiServer::WaitUntilReady() {
  const bool ready = Eventually(std::chrono::seconds(90), [this] {
    if (!api_server_.IsRunning()) return true;
    if (HttpsCall(port_, ca_pem_, "GET", "/readyz", kAdminToken).status != 200) return false;
    return HttpsCall(port_, ca_pem_, "GET", "/api/v1/namespaces/default", kAdminToken).status == 200;
  });
  if (!ready || !api_server_.IsRunning()) {
    throw std::runtime_error(
        "the API server did not get ready: " + EndOf(directory_.path() + "/kube-apiserver.log") +
        EndOf(directory_.path() + "/etcd.log"));
  }
}

void RealApiServer::StopApiServer() { api_server_.Kill(); }

void RealApiServer::ExpireHistory() {
  StopApiServer();
  const HttpsAnswer range = HttpsCall(etcd_port_, "", "POST", "/v3/kv/range", "", R"({"key":"AA=="})");
  const auto answer = boost::json::parse(range.body).as_object();
  boost::json::object compaction;
  compaction["revision"] = answer.at("header").as_object().at("revision");
  compaction["physical"] = true;
  const HttpsAnswer done =
      HttpsCall(etcd_port_, "", "POST", "/v3/kv/compaction", "", boost::json::serialize(compaction));
  if (done.status != 200) throw std::runtime_error("etcd was not compacted: " + done.body);
  StartApiServer();
}

}  // namespace walstitch::test
