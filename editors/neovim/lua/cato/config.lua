--- The plugin's own options. What the server does is set under `settings`.
local M = {}

---@class cato.Keymaps
---@field accept string|false Take the whole suggestion; without one the key does what it did before.
---@field accept_word string|false
---@field accept_line string|false
---@field next string|false Show the next of several suggestions.
---@field previous string|false
---@field dismiss string|false

---@class cato.Options
---@field cmd? string[] How to start the server; unset: it is looked for, see |cato-server|.
---@field standalone boolean Start a server with an engine of its own; false: all your editors share one server.
---@field settings table The server's settings, e.g. `{ model = "bundled" }`; see `cato-lsp settings --markdown`.
---@field completion "auto"|"builtin"|"extmarks"|"off" `auto`: |vim.lsp.inline_completion| where Neovim has it.
---@field keymaps cato.Keymaps
---@field languages string[] What `:Cato translate` offers; the one used last comes first.
M.defaults = {
  cmd = nil,
  standalone = false,
  settings = {},
  completion = "auto",
  keymaps = {
    accept = "<Tab>",
    accept_word = "<M-Right>",
    accept_line = "<M-Down>",
    next = "<M-]>",
    previous = "<M-[>",
    dismiss = "<C-]>",
  },
  languages = require("cato.languages"),
}

---@type cato.Options
M.options = vim.deepcopy(M.defaults)

---@param options table
---@param known table
---@param prefix string
local function refuse_unknown(options, known, prefix)
  for key in pairs(options) do
    if known[key] == nil and not (prefix == "" and key == "cmd") then
      error(("cato: there is no option %q; see :help cato-options"):format(prefix .. key), 0)
    end
  end
end

--- Merge the person's options over the defaults.
---@param options? table
---@return cato.Options
function M.set(options)
  options = options or {}
  vim.validate("options", options, "table")
  refuse_unknown(options, M.defaults, "")
  vim.validate("cmd", options.cmd, vim.islist, true, "a list of strings")
  vim.validate("standalone", options.standalone, "boolean", true)
  vim.validate("settings", options.settings, "table", true)
  vim.validate("keymaps", options.keymaps, "table", true)
  vim.validate("languages", options.languages, vim.islist, true, "a list of language ids")
  vim.validate("completion", options.completion, function(value)
    return vim.list_contains({ "auto", "builtin", "extmarks", "off" }, value)
  end, true, "auto, builtin, extmarks or off")
  refuse_unknown(options.keymaps or {}, M.defaults.keymaps, "keymaps.")
  M.options = vim.tbl_deep_extend("force", M.defaults, options)
  return M.options
end

return M
