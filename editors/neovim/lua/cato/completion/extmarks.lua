--- Completion drawn by ourselves with extmarks: for Neovim 0.11, and for those who do not want to wait the 200 ms
--- that Neovim's own lets pass before it asks.
local server = require("cato.server")
local suggestion = require("cato.completion.suggestion")

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace("cato.completion")
local METHOD = "textDocument/inlineCompletion"
local INVOKED, AUTOMATIC = 1, 2

local enabled = true
local suggestions = {} ---@type cato.Suggestion[]
local index = 1
local request = 0 -- Counts requests: an answer to any but the last is stale.

local function hide()
  vim.api.nvim_buf_clear_namespace(0, NAMESPACE, 0, -1)
end

---@return boolean shown
local function show()
  hide()
  local current = suggestions[index]
  if not current then
    return false
  end
  local rest, row, col = current:rest()
  if not rest then
    return false
  end
  local lines = vim.split(rest, "\n", { plain = true })
  local below = {}
  for i = 2, #lines do
    below[i - 1] = { { lines[i], "ComplHint" } }
  end
  vim.api.nvim_buf_set_extmark(0, NAMESPACE, row, col, {
    virt_text = { { lines[1], "ComplHint" } },
    virt_text_pos = "inline",
    virt_lines = #below > 0 and below or nil,
    hl_mode = "combine",
    undo_restore = false,
  })
  return true
end

---@param kind integer
---@param first integer Which of the answer's suggestions to show.
local function ask(kind, first)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ name = server.NAME, bufnr = bufnr, method = METHOD })[1]
  request = request + 1
  if not enabled or not client then
    return
  end
  local number = request
  local line = vim.api.nvim_get_current_line()
  local position = vim.api.nvim_win_get_cursor(0)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding) --[[@as table]]
  params.context = { triggerKind = kind }
  client:request(METHOD, params, function(_, result)
    if number ~= request or not vim.startswith(vim.api.nvim_get_mode().mode, "i") then
      return
    end
    suggestions = vim.tbl_map(function(item)
      return suggestion.new(bufnr, item, line, client.offset_encoding, { position[1] - 1, position[2] })
    end, result and (result.items or result) or {})
    index = #suggestions > 0 and (first - 1) % #suggestions + 1 or 1
    if show() then
      client:notify("textDocument/didShowCompletion", { item = suggestions[index].item })
    end
  end, bufnr)
end

local asking = false

--- Show the rest of the suggestion at once. Request again after the editor has sent the change to the server.
local function moved()
  show()
  if not asking then
    asking = true
    vim.schedule(function()
      asking = false
      ask(AUTOMATIC, 1)
    end)
  end
end

function M.dismiss()
  request = request + 1
  suggestions = {}
  hide()
end

--- Turn completion on.
---@param group integer Of autocommands.
function M.enable(group)
  vim.api.nvim_set_hl(0, "ComplHint", { link = "NonText", default = true })
  vim.api.nvim_create_autocmd({ "InsertEnter", "CursorMovedI", "TextChangedI", "TextChangedP" }, {
    group = group,
    callback = moved,
  })
  vim.api.nvim_create_autocmd({ "InsertLeave", "BufLeave" }, { group = group, callback = M.dismiss })
end

--- Turn completion on or off for all buffers.
---@param value boolean
function M.set_enabled(value)
  enabled = value
  if not value then
    M.dismiss()
  end
end

---@return boolean
function M.visible()
  return suggestions[index] ~= nil and suggestions[index]:rest() ~= nil
end

--- Accept what is shown.
---@param size cato.Size
function M.accept(size)
  local current = suggestions[index]
  if current and current:accept(size) and size == "all" then
    M.dismiss()
  end
end

--- Show another suggestion. The first time the server is asked for several.
---@param count integer
function M.select(count)
  if #suggestions == 1 then
    ask(INVOKED, 1 + count)
  elseif #suggestions > 1 then
    index = (index - 1 + count) % #suggestions + 1
    show()
  end
end

return M
