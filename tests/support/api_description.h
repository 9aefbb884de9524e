// Holds what an API answers to its own description (OpenAPI 3.1). Knows as much of JSON Schema as the
// descriptions use; a word that it does not know is a problem, and so is a field that is not described.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <vector>

namespace walstitch::test {

class ApiDescription {
 public:
  // `text` is the document, as /openapi.json gives it.
  explicit ApiDescription(const std::string& text);

  const boost::json::value& Document() const { return document_; }

  // What of an answer is not as described, one sentence each. `target` may have a query. A path that is not
  // described may only be answered with 404 or 405.
  std::vector<std::string> ProblemsOfAnswer(const std::string& method, const std::string& target, int status,
                                            const std::string& body) const;
  // What of a value is not as a schema says.
  std::vector<std::string> ProblemsOf(const boost::json::value& value,
                                      const boost::json::value& schema) const;
  // What of the document itself is not as OpenAPI 3.1 asks for, or goes without a word of description.
  std::vector<std::string> ProblemsOfDocument() const;

 private:
  const boost::json::value* Resolve(const std::string& reference) const;
  void Check(const boost::json::value& value, const boost::json::value& schema, const std::string& at,
             std::vector<std::string>* problems) const;
  void CheckSchema(const boost::json::value& schema, const std::string& at, bool described,
                   std::vector<std::string>* problems) const;
  void CheckOperation(const std::string& path, const std::string& method,
                      const boost::json::object& operation, std::vector<std::string>* problems) const;

  boost::json::value document_;
};

}  // namespace walstitch::test
