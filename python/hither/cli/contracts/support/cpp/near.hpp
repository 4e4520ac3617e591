// NEAR's host functions for contracts in C++: input, storage, logs, promises. Header only.
//
// Functions are those of the NEAR specification (nomicon, "Runtime specification / Bindings"). JSON is RapidJSON's.
#pragma once

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace near {

namespace host {
#define NEAR_HOST(name) __attribute__((import_module("env"), import_name(#name))) name
extern "C" {
void NEAR_HOST(read_register)(uint64_t register_id, uint64_t pointer);
uint64_t NEAR_HOST(register_len)(uint64_t register_id);
void NEAR_HOST(current_account_id)(uint64_t register_id);
void NEAR_HOST(signer_account_id)(uint64_t register_id);
void NEAR_HOST(predecessor_account_id)(uint64_t register_id);
void NEAR_HOST(input)(uint64_t register_id);
uint64_t NEAR_HOST(block_index)();
uint64_t NEAR_HOST(block_timestamp)();
void NEAR_HOST(attached_deposit)(uint64_t pointer);
uint64_t NEAR_HOST(prepaid_gas)();
uint64_t NEAR_HOST(used_gas)();
void NEAR_HOST(value_return)(uint64_t length, uint64_t pointer);
[[noreturn]] void NEAR_HOST(panic_utf8)(uint64_t length, uint64_t pointer);
void NEAR_HOST(log_utf8)(uint64_t length, uint64_t pointer);
uint64_t NEAR_HOST(promise_create)(uint64_t account_length, uint64_t account, uint64_t method_length, uint64_t method,
                                   uint64_t arguments_length, uint64_t arguments, uint64_t amount, uint64_t gas);
uint64_t NEAR_HOST(promise_then)(uint64_t promise, uint64_t account_length, uint64_t account, uint64_t method_length,
                                 uint64_t method, uint64_t arguments_length, uint64_t arguments, uint64_t amount,
                                 uint64_t gas);
void NEAR_HOST(promise_return)(uint64_t promise);
uint64_t NEAR_HOST(promise_results_count)();
uint64_t NEAR_HOST(promise_result)(uint64_t index, uint64_t register_id);
uint64_t NEAR_HOST(storage_write)(uint64_t key_length, uint64_t key, uint64_t value_length, uint64_t value,
                                  uint64_t register_id);
uint64_t NEAR_HOST(storage_read)(uint64_t key_length, uint64_t key, uint64_t register_id);
uint64_t NEAR_HOST(storage_remove)(uint64_t key_length, uint64_t key, uint64_t register_id);
uint64_t NEAR_HOST(storage_has_key)(uint64_t key_length, uint64_t key);
}
#undef NEAR_HOST

inline uint64_t at(std::string_view text) { return reinterpret_cast<uintptr_t>(text.data()); }

inline std::string read(uint64_t register_id) {
    std::string text(host::register_len(register_id), '\0');
    host::read_register(register_id, at(text));
    return text;
}

template <typename Function> std::string read_with(Function function) {
    function(0);
    return read(0);
}
}  // namespace host

using Amount = unsigned __int128;
inline constexpr uint64_t TGAS = 1'000'000'000'000;

// The call

[[noreturn]] inline void panic(std::string_view text) { host::panic_utf8(text.size(), host::at(text)); }
inline void require(bool condition, std::string_view text) {
    if (!condition) panic(text);
}
inline std::string input() { return host::read_with(host::input); }
inline std::string current_account() { return host::read_with(host::current_account_id); }
inline std::string signer_account() { return host::read_with(host::signer_account_id); }
inline std::string predecessor_account() { return host::read_with(host::predecessor_account_id); }
inline uint64_t block_height() { return host::block_index(); }
inline uint64_t block_timestamp_ns() { return host::block_timestamp(); }
inline Amount attached_deposit() {
    Amount amount = 0;
    host::attached_deposit(reinterpret_cast<uintptr_t>(&amount));
    return amount;
}
inline void log(std::string_view text) { host::log_utf8(text.size(), host::at(text)); }
inline void value_return(std::string_view text) { host::value_return(text.size(), host::at(text)); }

// A callback is for the contract itself alone.
inline void require_private() {
    require(predecessor_account() == current_account(), "only this contract may call this method");
}

// JSON

class Arguments {
public:
    Arguments() {
        std::string text = input();
        document_.Parse(text.empty() ? "{}" : text.c_str());
        require(!document_.HasParseError() && document_.IsObject(), "the arguments must be a JSON object");
    }
    std::string text(const char *name) const {
        const auto *value = find(name);
        require(value && value->IsString(), std::string(name) + " must be text");
        return {value->GetString(), value->GetStringLength()};
    }
    uint64_t number(const char *name) const {
        const auto *value = find(name);
        require(value && value->IsUint64(), std::string(name) + " must be a whole number, 0 or more");
        return value->GetUint64();
    }
    uint64_t number(const char *name, uint64_t otherwise) const { return find(name) ? number(name) : otherwise; }

private:
    const rapidjson::Value *find(const char *name) const {
        auto found = document_.FindMember(name);
        return found == document_.MemberEnd() ? nullptr : &found->value;
    }
    rapidjson::Document document_;
};

// Text as a JSON string, quotes included.
inline std::string quote(std::string_view text) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    writer.String(text.data(), text.size());
    return {buffer.GetString(), buffer.GetSize()};
}

// Storage

inline std::optional<std::string> storage_read(std::string_view key) {
    if (!host::storage_read(key.size(), host::at(key), 0)) return std::nullopt;
    return host::read(0);
}
inline void storage_write(std::string_view key, std::string_view value) {
    host::storage_write(key.size(), host::at(key), value.size(), host::at(value), 0);
}
inline bool storage_remove(std::string_view key) { return host::storage_remove(key.size(), host::at(key), 0); }

// Promises

class Promise {
public:
    static Promise call(std::string_view account, std::string_view method, std::string_view arguments, Amount deposit,
                        uint64_t gas) {
        return Promise(host::promise_create(account.size(), host::at(account), method.size(), host::at(method),
                                            arguments.size(), host::at(arguments),
                                            reinterpret_cast<uintptr_t>(&deposit), gas));
    }
    Promise then(std::string_view account, std::string_view method, std::string_view arguments, Amount deposit,
                 uint64_t gas) const {
        return Promise(host::promise_then(id_, account.size(), host::at(account), method.size(), host::at(method),
                                          arguments.size(), host::at(arguments),
                                          reinterpret_cast<uintptr_t>(&deposit), gas));
    }
    // What this promise returns is what the method returns.
    void pass_on() const { host::promise_return(id_); }

private:
    explicit Promise(uint64_t id) : id_(id) {}
    uint64_t id_;
};

// What the promise before a callback returned; nothing if it failed.
inline std::optional<std::string> promise_result(uint64_t index = 0) {
    if (host::promise_result(index, 0) != 1) return std::nullopt;
    return host::read(0);
}

}  // namespace near

// A method that others can call.
#define NEAR_METHOD(name) extern "C" __attribute__((export_name(#name))) void near_method_##name()
