// A counter that asks other counters, and that signs for other chains.
#include <near.hpp>

#include <string>

namespace {

constexpr uint64_t STEP_MAX = 100;
constexpr char COUNT[] = "count";

uint64_t read_count() {
    auto stored = near::storage_read(COUNT);
    return stored ? std::stoull(*stored) : 0;
}

}  // namespace

// Storage, JSON, an event, and a case that fails.
NEAR_METHOD(increment) {
    uint64_t by = near::Arguments().number("by", 1);
    near::require(by <= STEP_MAX, "by is at most 100");
    std::string count = std::to_string(read_count() + by);
    near::storage_write(COUNT, count);
    near::log(R"(EVENT_JSON:{"standard":"counter","version":"1.0.0","event":"increment","data":[{"by":)" +
              std::to_string(by) + R"(,"count":)" + count + "}]}");
    near::value_return(count);
}

NEAR_METHOD(get) { near::value_return(std::to_string(read_count())); }

// A call of another contract, and a callback that adds what it answers.
NEAR_METHOD(add_from) {
    std::string other = near::Arguments().text("other");
    near::Promise::call(other, "get", "{}", 0, 10 * near::TGAS)
        .then(near::current_account(), "on_answer", "{}", 0, 10 * near::TGAS)
        .pass_on();
}

NEAR_METHOD(on_answer) {
    near::require_private();
    auto answer = near::promise_result();
    near::require(answer.has_value(), "the other contract did not answer");
    std::string count = std::to_string(read_count() + std::stoull(*answer));
    near::storage_write(COUNT, count);
    near::value_return(count);
}

// A signature for another chain, under a key of this contract's own. Whoever may ask for it has what is there.
NEAR_METHOD(sign) {
    bool is_own = near::predecessor_account() == near::current_account();
    near::require(is_own, "only the contract's own account may ask for a signature");
    near::Arguments arguments;
    std::string request = R"({"request":{"path":)" + near::quote(arguments.text("path")) +
                          R"(,"payload_v2":{"Ecdsa":)" + near::quote(arguments.text("payload")) +
                          R"(},"domain_id":0}})";
    near::Promise::call(arguments.text("signer"), "sign", request, 1, 50 * near::TGAS).pass_on();
}
