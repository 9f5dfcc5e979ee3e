--- Completion while typing: which way it is shown, its keys, and its pauses.
local config = require("cato.config")

local M = {}

---@class cato.Provider
---@field enable fun(group: integer)
---@field set_enabled fun(enabled: boolean)
---@field visible fun(): boolean
---@field accept fun(size: cato.Size)
---@field select fun(count: integer)
---@field dismiss fun()

---@type cato.Provider?
local provider

---@type uv.uv_timer_t?
local pause

---@return string? # Module name; nil: no completion.
function M.provider_name()
  local wanted = config.options.completion
  if wanted == "auto" then
    wanted = vim.lsp.inline_completion and "builtin" or "extmarks"
  end
  return wanted ~= "off" and wanted or nil
end

--- What a key did before we took it: another plugin's mapping, Neovim's own, or itself.
---@param previous table From |maparg()|.
---@param key string
---@return string keys
local function fall_back(previous, key)
  if previous.callback then
    local keys = previous.callback()
    return previous.expr == 1 and keys or ""
  end
  if previous.rhs then
    return previous.expr == 1 and vim.api.nvim_eval(previous.rhs) or previous.rhs
  end
  return key
end

---@param key string|false
---@param action string Lua that acts on the visible suggestion.
---@param desc string
local function map(key, action, desc)
  if not key then
    return
  end
  local previous = vim.fn.maparg(key, "i", false, true)
  vim.keymap.set("i", key, function()
    if M.visible() then
      return ("<Cmd>lua require('cato.completion').%s<CR>"):format(action)
    end
    return fall_back(previous, key)
  end, { expr = true, replace_keycodes = true, desc = "cato: " .. desc })
end

--- Turn completion on and map its keys.
---@param group integer Of autocommands.
function M.setup(group)
  local name = M.provider_name()
  if not name then
    return
  end
  provider = require("cato.completion." .. name)
  provider.enable(group)
  local keys = config.options.keymaps
  map(keys.accept, "accept('all')", "accept the suggestion")
  map(keys.accept_word, "accept('word')", "accept a word of the suggestion")
  map(keys.accept_line, "accept('line')", "accept a line of the suggestion")
  map(keys.next, "select(1)", "next suggestion")
  map(keys.previous, "select(-1)", "previous suggestion")
  map(keys.dismiss, "dismiss()", "dismiss the suggestion")
end

---@return boolean
function M.visible()
  return provider ~= nil and provider.visible()
end

---@param size? cato.Size
function M.accept(size)
  if provider then
    provider.accept(size or "all")
  end
end

---@param count integer
function M.select(count)
  if provider then
    provider.select(count)
  end
end

function M.dismiss()
  if provider then
    provider.dismiss()
  end
end

---@return boolean
function M.paused()
  return pause ~= nil
end

--- Go on after a pause.
function M.resume()
  if pause then
    pause:stop()
    pause:close()
    pause = nil
  end
  if provider then
    provider.set_enabled(true)
  end
  vim.cmd.redrawstatus()
end

--- Offer no completions for a while.
---@param minutes integer
function M.pause(minutes)
  M.resume()
  if provider then
    provider.set_enabled(false)
  end
  pause = vim.defer_fn(M.resume, minutes * 60 * 1000)
  vim.cmd.redrawstatus()
end

return M
