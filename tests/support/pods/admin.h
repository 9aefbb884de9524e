// Whoever may do everything at an API server, real or not: what a test does by hand, and what the other parts
// of a cluster would do. Blocking; every call may be made from any thread, one at a time each. Throws what
// the server refuses.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <vector>

namespace walstitch::test {

class ApiAdmin {
 public:
  // `url`: https://127.0.0.1:port. `name_space`: of everything.
  ApiAdmin(std::string url, std::string ca_pem, std::string token, std::string name_space);

  // `path` behind the namespace: "pods", "pods/shop-0/status". `group`: "core", "apps/v1", …
  boost::json::object Create(const std::string& group, const std::string& plural,
                             const boost::json::object& object);
  std::optional<boost::json::object> Get(const std::string& group, const std::string& plural,
                                         const std::string& name);
  std::vector<boost::json::object> List(const std::string& group, const std::string& plural,
                                        const std::string& selector = "");
  boost::json::object Patch(const std::string& group, const std::string& plural, const std::string& name,
                            const boost::json::object& patch, const std::string& subresource = "",
                            bool strategic = false);
  // At once, whatever its grace. Not there: nothing.
  void Delete(const std::string& group, const std::string& plural, const std::string& name);
  // Of no namespace.
  void CreateClusterWide(const std::string& group, const std::string& plural,
                         const boost::json::object& object);

  [[nodiscard]] const std::string& Url() const { return url_; }
  [[nodiscard]] const std::string& CaPem() const { return ca_pem_; }
  [[nodiscard]] const std::string& Namespace() const { return name_space_; }

 private:
  struct Answer {
    int status = 0;
    boost::json::value body;
  };
  Answer Ask(const std::string& method, const std::string& target, const std::string& body,
             const std::string& content_type) const;
  std::string PathOf(const std::string& group, const std::string& plural, const std::string& name,
                     const std::string& subresource = "") const;

  std::string url_;
  std::string ca_pem_;
  std::string token_;
  std::string name_space_;
};

}  // namespace walstitch::test
