// Runs a contract in JavaScript: QuickJS, the bytecode of the contract, and NEAR's host functions as `__host`.
//
// near.js makes them pleasant. Errors that the contract does not catch become panics with their message and stack.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

#define HOST(name) __attribute__((import_module("env"), import_name(#name))) name
void HOST(read_register)(uint64_t, uint64_t);
uint64_t HOST(register_len)(uint64_t);
void HOST(current_account_id)(uint64_t);
void HOST(signer_account_id)(uint64_t);
void HOST(predecessor_account_id)(uint64_t);
void HOST(input)(uint64_t);
uint64_t HOST(block_index)(void);
uint64_t HOST(block_timestamp)(void);
void HOST(attached_deposit)(uint64_t);
uint64_t HOST(prepaid_gas)(void);
uint64_t HOST(used_gas)(void);
void HOST(value_return)(uint64_t, uint64_t);
void HOST(panic_utf8)(uint64_t, uint64_t);
void HOST(log_utf8)(uint64_t, uint64_t);
uint64_t HOST(promise_create)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
uint64_t HOST(promise_then)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
void HOST(promise_return)(uint64_t);
uint64_t HOST(promise_result)(uint64_t, uint64_t);
uint64_t HOST(storage_write)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
uint64_t HOST(storage_read)(uint64_t, uint64_t, uint64_t);
uint64_t HOST(storage_remove)(uint64_t, uint64_t, uint64_t);

// Beyond it the engine raises an error that a contract can catch; the VM's own limit only traps.
#define STACK_SIZE_MAX 65536

extern const uint32_t contract_size;
extern const uint8_t contract_code[];

typedef struct {
    const char *text;
    size_t length;
} Text;

static uint64_t at(const void *pointer) { return (uintptr_t)pointer; }

static Text take(JSContext *context, JSValueConst value) {
    Text taken = {0};
    taken.text = JS_ToCStringLen(context, &taken.length, value);
    return taken;
}

static JSValue read(JSContext *context) {
    uint64_t length = register_len(0);
    char *text = malloc(length + 1);
    read_register(0, at(text));
    JSValue value = JS_NewStringLen(context, text, length);
    free(text);
    return value;
}

// Amounts are BigInt in JavaScript and pass as decimal text.
static int take_amount(JSContext *context, JSValueConst value, unsigned __int128 *amount) {
    Text text = take(context, value);
    if (!text.text) return -1;
    *amount = 0;
    int is_number = text.length > 0 && text.length <= 39;
    for (size_t index = 0; is_number && index < text.length; index++) {
        is_number = text.text[index] >= '0' && text.text[index] <= '9';
        *amount = *amount * 10 + (text.text[index] - '0');
    }
    JS_FreeCString(context, text.text);
    if (!is_number) JS_ThrowTypeError(context, "an amount is a whole number, 0 or more");
    return is_number ? 0 : -1;
}

static JSValue give_amount(JSContext *context, unsigned __int128 amount) {
    char digits[40], *start = digits + sizeof digits;
    do *--start = '0' + (int)(amount % 10);
    while (amount /= 10);
    return JS_NewStringLen(context, start, digits + sizeof digits - start);
}

#define FUNCTION(name) \
    static JSValue host_##name(JSContext *context, JSValueConst self, int count, JSValueConst *given)
#define READS_REGISTER(name) \
    FUNCTION(name) { \
        name(0); \
        return read(context); \
    }
#define GIVES_NUMBER(name) \
    FUNCTION(name) { return give_amount(context, name()); }
#define TAKES_TEXT(name) \
    FUNCTION(name) { \
        Text text = take(context, given[0]); \
        if (!text.text) return JS_EXCEPTION; \
        name(text.length, at(text.text)); \
        JS_FreeCString(context, text.text); \
        return JS_UNDEFINED; \
    }

READS_REGISTER(current_account_id)
READS_REGISTER(signer_account_id)
READS_REGISTER(predecessor_account_id)
READS_REGISTER(input)
GIVES_NUMBER(block_index)
GIVES_NUMBER(block_timestamp)
GIVES_NUMBER(prepaid_gas)
GIVES_NUMBER(used_gas)
TAKES_TEXT(value_return)
TAKES_TEXT(panic_utf8)
TAKES_TEXT(log_utf8)

FUNCTION(attached_deposit) {
    unsigned __int128 amount = 0;
    attached_deposit(at(&amount));
    return give_amount(context, amount);
}

FUNCTION(storage_read) {
    Text key = take(context, given[0]);
    if (!key.text) return JS_EXCEPTION;
    uint64_t is_found = storage_read(key.length, at(key.text), 0);
    JS_FreeCString(context, key.text);
    return is_found ? read(context) : JS_NULL;
}

FUNCTION(storage_write) {
    Text key = take(context, given[0]), value = take(context, given[1]);
    if (!key.text || !value.text) return JS_EXCEPTION;
    storage_write(key.length, at(key.text), value.length, at(value.text), 0);
    JS_FreeCString(context, key.text);
    JS_FreeCString(context, value.text);
    return JS_UNDEFINED;
}

FUNCTION(storage_remove) {
    Text key = take(context, given[0]);
    if (!key.text) return JS_EXCEPTION;
    uint64_t is_found = storage_remove(key.length, at(key.text), 0);
    JS_FreeCString(context, key.text);
    return JS_NewBool(context, is_found);
}

// (account, method, arguments, deposit, gas, promise before it or undefined) → promise
FUNCTION(promise) {
    Text account = take(context, given[0]), method = take(context, given[1]), arguments = take(context, given[2]);
    unsigned __int128 deposit, gas;
    if (!account.text || !method.text || !arguments.text) return JS_EXCEPTION;
    if (take_amount(context, given[3], &deposit) || take_amount(context, given[4], &gas)) return JS_EXCEPTION;
    uint64_t id;
    if (count < 6 || JS_IsUndefined(given[5])) {
        id = promise_create(account.length, at(account.text), method.length, at(method.text), arguments.length,
                            at(arguments.text), at(&deposit), gas);
    } else {
        uint32_t before;
        if (JS_ToUint32(context, &before, given[5])) return JS_EXCEPTION;
        id = promise_then(before, account.length, at(account.text), method.length, at(method.text), arguments.length,
                          at(arguments.text), at(&deposit), gas);
    }
    JS_FreeCString(context, account.text);
    JS_FreeCString(context, method.text);
    JS_FreeCString(context, arguments.text);
    return JS_NewUint32(context, id);
}

FUNCTION(promise_return) {
    uint32_t id;
    if (JS_ToUint32(context, &id, given[0])) return JS_EXCEPTION;
    promise_return(id);
    return JS_UNDEFINED;
}

FUNCTION(promise_result) {
    uint32_t index;
    if (JS_ToUint32(context, &index, given[0])) return JS_EXCEPTION;
    return promise_result(index, 0) == 1 ? read(context) : JS_NULL;
}

#define ENTRY(name, arguments) JS_CFUNC_DEF(#name, arguments, host_##name)
static const JSCFunctionListEntry FUNCTIONS[] = {
    ENTRY(current_account_id, 0), ENTRY(signer_account_id, 0), ENTRY(predecessor_account_id, 0),
    ENTRY(input, 0),              ENTRY(block_index, 0),       ENTRY(block_timestamp, 0),
    ENTRY(prepaid_gas, 0),        ENTRY(used_gas, 0),          ENTRY(attached_deposit, 0),
    ENTRY(value_return, 1),       ENTRY(panic_utf8, 1),        ENTRY(log_utf8, 1),
    ENTRY(storage_read, 1),       ENTRY(storage_write, 2),     ENTRY(storage_remove, 1),
    ENTRY(promise, 6),            ENTRY(promise_return, 1),    ENTRY(promise_result, 1),
};

static void panic(JSContext *context) {
    JSValue error = JS_GetException(context);
    Text text = take(context, error);
    Text stack = {0};
    JSValue trace = JS_IsObject(error) ? JS_GetPropertyStr(context, error, "stack") : JS_UNDEFINED;
    if (!JS_IsUndefined(trace)) stack = take(context, trace);
    if (!text.text) text = (Text){"an error that cannot be told", 28};
    char *message = malloc(text.length + stack.length + 1);
    memcpy(message, text.text, text.length);
    message[text.length] = '\n';
    if (stack.text) memcpy(message + text.length + 1, stack.text, stack.length);
    size_t length = text.length + (stack.length ? stack.length + 1 : 0);
    panic_utf8(length, at(message));
}

// Each exported method of the contract is a function of a generated file that calls this.
void contract_call(const char *method) {
    JSRuntime *runtime = JS_NewRuntime();
    JS_SetMaxStackSize(runtime, STACK_SIZE_MAX);
    JSContext *context = JS_NewContext(runtime);
    JSValue global = JS_GetGlobalObject(context), host = JS_NewObject(context);
    JS_SetPropertyFunctionList(context, host, FUNCTIONS, sizeof FUNCTIONS / sizeof *FUNCTIONS);
    JS_SetPropertyStr(context, global, "__host", host);
    JSValue code = JS_ReadObject(context, contract_code, contract_size, JS_READ_OBJ_BYTECODE);
    if (JS_IsException(code) || JS_IsException(JS_EvalFunction(context, code))) panic(context);
    JSValue run = JS_GetPropertyStr(context, global, "__call"), name = JS_NewString(context, method);
    if (JS_IsException(JS_Call(context, run, global, 1, &name))) panic(context);
}
