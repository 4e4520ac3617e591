// Compiles a script to QuickJS bytecode, on the machine that builds: bytecode SCRIPT OUTPUT.
//
// It must be compiled with the same settings as the engine in the contract; the tables of atoms differ otherwise.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

static int fail(const char *what, const char *path) {
    fprintf(stderr, "bytecode: %s %s\n", what, path);
    return 1;
}

static void print_error(JSContext *context) {
    JSValue error = JS_GetException(context);
    const char *text = JS_ToCString(context, error);
    JSValue stack = JS_GetPropertyStr(context, error, "stack");
    const char *where = JS_IsUndefined(stack) ? NULL : JS_ToCString(context, stack);
    fprintf(stderr, "%s\n%s", text ? text : "unknown error", where ? where : "");
}

int main(int count, char **arguments) {
    if (count != 3) return fail("usage:", "bytecode SCRIPT OUTPUT");
    FILE *file = fopen(arguments[1], "rb");
    if (!file) return fail("cannot read", arguments[1]);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *script = calloc(size + 1, 1);
    if (fread(script, 1, size, file) != (size_t)size) return fail("cannot read", arguments[1]);
    fclose(file);

    JSContext *context = JS_NewContext(JS_NewRuntime());
    JSValue code = JS_Eval(context, script, size, "contract.js", JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(code)) {
        print_error(context);
        return 1;
    }
    size_t length;
    uint8_t *bytes = JS_WriteObject(context, &length, code, JS_WRITE_OBJ_BYTECODE);
    file = fopen(arguments[2], "wb");
    if (!bytes || !file) return fail("cannot write", arguments[2]);
    fprintf(file, "#include <stdint.h>\nconst uint32_t contract_size = %zu;\nconst uint8_t contract_code[] = {", length);
    for (size_t index = 0; index < length; index++) fprintf(file, index % 16 ? "%u," : "\n%u,", bytes[index]);
    fprintf(file, "\n};\n");
    return fclose(file) ? fail("cannot write", arguments[2]) : 0;
}
