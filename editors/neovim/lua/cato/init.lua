--- Cato, the coding assistant that never makes you wait. Call |cato.setup()|; all else is in |:Cato|.
local M = {}

--- Start the server in every buffer with a file type, offer completions, and define |:Cato|.
---@param options? cato.Options|table See |cato-options|.
function M.setup(options)
  if vim.fn.has("nvim-0.11") == 0 then
    vim.notify("cato: Neovim 0.11 or newer is needed", vim.log.levels.ERROR)
    return
  end
  require("cato.config").set(options)
  local group = vim.api.nvim_create_augroup("cato", {})
  local handlers = {
    ["cato/didChangeStatus"] = require("cato.status").did_change_status,
    ["cato/preview"] = require("cato.preview").handler,
  }
  require("cato.tasks").setup(group)
  require("cato.completion").setup(group)
  require("cato.commands").setup()
  require("cato.server").enable(handlers)
end

--- A statusline component: `%{v:lua.require'cato'.statusline()}`.
---@return string
function M.statusline()
  return require("cato.status").statusline()
end

--- Whether a suggestion is shown; for your own mappings.
---@return boolean
function M.visible()
  return require("cato.completion").visible()
end

--- Accept the shown suggestion or a part of it.
---@param size? cato.Size
function M.accept(size)
  require("cato.completion").accept(size)
end

return M
